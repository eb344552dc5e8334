# cmake -DPROGRAM=... -DCLIP=... -DMERGES=... -DPICTURES=... -DSCRATCH=... -P encode_test.cmake
cmake_minimum_required(VERSION 3.24)
include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)
set(images --clip ${CLIP} --images ${PICTURES} --batch 16)

# Features, and the same with region maps.
run(0 ${images} --out whole.safetensors)
file(GLOB files ${PICTURES}/*)
list(LENGTH files count)
expect(output "wrote ${count} rows to whole.safetensors")
file(STRINGS ${SCRATCH}/whole.safetensors header LIMIT_INPUT 20000 REGEX "features")
expect(header "\"shape\":.${count},128.")
expect(header "adobe-cmyk.jpg.*bits.bmp.*ycck.jpg")
run(0 ${images} --out dense.safetensors --dense plain --fit squash)
file(STRINGS ${SCRATCH}/dense.safetensors header LIMIT_INPUT 20000 REGEX "regions")
expect(header "\"shape\":.${count},[0-9]+,128.")

# Stopped twice, then to the end: the same bytes.
run(5 ${images} --out parts.safetensors --limit-batches 2)
expect(errors "encode: stopped; the same command goes on with parts.safetensors")
run(5 ${images} --out parts.safetensors --limit-batches 1 --workers 1)
if(EXISTS ${SCRATCH}/parts.safetensors)
  message(FATAL_ERROR "a file appeared before all rows were there")
endif()
run(3 ${images} --out parts.safetensors --fit squash)
expect(errors "belongs to another run")
run(0 ${images} --out parts.safetensors)
expect_same(parts.safetensors whole.safetensors)
if(EXISTS ${SCRATCH}/parts.safetensors.partial)
  message(FATAL_ERROR "the folder of the rows is still there")
endif()

# Bad pictures stop it, or are left out.
file(MAKE_DIRECTORY ${SCRATCH}/some)
file(COPY ${PICTURES}/rgb-8.png ${PICTURES}/rgb.bmp DESTINATION ${SCRATCH}/some)
file(WRITE ${SCRATCH}/some/bad.jpg "no picture")
set(some --clip ${CLIP} --images some --out some.safetensors)
run(3 ${some})
expect(errors "encode: some/bad.jpg: expected a JPEG, PNG, BMP or GIF file")
run(0 ${some} --skip-bad --restart)
expect(errors "left out: some/bad.jpg")
expect(output "wrote 2 rows")

# Texts: a row a line.
file(WRITE ${SCRATCH}/lines.txt "a red bag\n\na blue shirt and a sneaker")
run(0 --clip ${CLIP} --vocab ${MERGES} --texts lines.txt --out texts.safetensors)
expect(output "wrote 3 rows")

# Mistakes.
run(2 --clip ${CLIP} --out x.safetensors)
expect(errors "expected either --images or --texts")
run(2 --clip ${CLIP} --texts lines.txt --out x.safetensors --dense plain)
run(3 --clip ${CLIP} --images none --out x.safetensors)
run(4 --clip ${PICTURES}/rgb.bmp --images some --out x.safetensors)
