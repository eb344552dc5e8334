# One export set a target, so that a consumer who asks for one component needs no more
# than that component needs.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(_dir ${CMAKE_INSTALL_LIBDIR}/cmake/trmml)
configure_package_config_file(cmake/trmml-config.cmake.in trmml-config.cmake INSTALL_DESTINATION ${_dir})
write_basic_package_version_file(trmml-config-version.cmake COMPATIBILITY SameMinorVersion)
foreach(_component IN ITEMS evaluation modules trmml)
  set(_target trmml_${_component})
  if(_component STREQUAL "trmml")
    set(_target trmml)
  endif()
  install(TARGETS ${_target} EXPORT trmml-${_component} FILE_SET HEADERS)
  install(EXPORT trmml-${_component} NAMESPACE trmml:: DESTINATION ${_dir} FILE trmml-${_component}-targets.cmake)
  export(EXPORT trmml-${_component} NAMESPACE trmml:: FILE trmml-${_component}-targets.cmake)
endforeach()
install(FILES
  ${PROJECT_BINARY_DIR}/trmml-config.cmake
  ${PROJECT_BINARY_DIR}/trmml-config-version.cmake
  DESTINATION ${_dir})
