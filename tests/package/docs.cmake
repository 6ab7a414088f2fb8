# Runs every block of a document of share/doc: cmake -D DOCUMENT=abi.md -D PYTHON=python3 ... -P docs.cmake
include(${CMAKE_CURRENT_LIST_DIR}/steps.cmake)
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK}/home ${WORK}/doc)
set(ENV{HOME} ${WORK}/home)
set(ENV{XDG_CONFIG_HOME} ${WORK}/home/.config)
set(ENV{XDG_DATA_HOME} ${WORK}/home/.local/share)
set(ENV{PATH} "${BUILD}/bin:$ENV{PATH}")
# What a document says of the reader's machine: a build of assay, and its source.
set(ENV{ASSAY_BUILD} ${BUILD})
set(ENV{ASSAY_SOURCE} ${ROOT})
run(COMMAND ${PYTHON} ${CMAKE_CURRENT_LIST_DIR}/docs.py ${ROOT}/share/doc/${DOCUMENT} doc SAYS said)
message(NOTICE "${said}")
