# find_package(assay-sdk 1 CONFIG): the targets assay::sdk and assay::check, and assay_add_plugin().
include(${CMAKE_CURRENT_LIST_DIR}/assay-sdk-targets.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/assay_add_plugin.cmake)
