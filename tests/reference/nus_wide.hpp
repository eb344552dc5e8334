#pragma once

// Written by nus_wide.py.

// clang-format off
namespace reference::nus_wide {

inline constexpr char kConcepts[] = R"~(airport
sky
water
person
window
zebra
)~";

inline constexpr char kCsv[] = R"~(filepath,label,split_name
"images/0_0_b,b_m.jpg","['zebra', 'airport']",train
images/1_97_a_m.jpg,['sky'],val
images/2_194_a_m.jpg,['water'],train
images/3_291_a_m.jpg,['person'],train
"images/4_388_b,b_m.jpg",['window'],val
images/5_485_a_m.jpg,"['zebra', 'airport']",train
images/6_582_a_m.jpg,['sky'],train
images/7_679_a_m.jpg,['water'],val
"images/8_776_b,b_m.jpg",['person'],train
images/9_873_a_m.jpg,['window'],train
images/10_970_a_m.jpg,"['zebra', 'airport']",val
images/11_1067_a_m.jpg,['sky'],train
"images/12_1164_b,b_m.jpg",['water'],train
images/13_1261_a_m.jpg,['person'],val
)~";

// Picture: concepts.
inline constexpr char kCsvTrain[] = R"~(images/0_0_b,b_m.jpg: 0 5
images/2_194_a_m.jpg: 2
images/3_291_a_m.jpg: 3
images/5_485_a_m.jpg: 0 5
images/6_582_a_m.jpg: 1
images/8_776_b,b_m.jpg: 3
images/9_873_a_m.jpg: 4
images/11_1067_a_m.jpg: 1
images/12_1164_b,b_m.jpg: 2
)~";

inline constexpr char kCsvTest[] = R"~(images/1_97_a_m.jpg: 1
images/4_388_b,b_m.jpg: 4
images/7_679_a_m.jpg: 2
images/10_970_a_m.jpg: 0 5
images/13_1261_a_m.jpg: 3
)~";

}  // namespace reference::nus_wide
// clang-format on
