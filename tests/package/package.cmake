# Installs the SDK, then configures, builds and tests a copied template against it, outside this tree:
# cmake -D BUILD=<build of this tree> -D TEMPLATE=<folder> -D WORK=<empty folder> -D COMPILER=c++ -P package.cmake
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGV}\n${said}")
  endif()
endfunction()
file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix --component sdk)
file(COPY ${WORK}/prefix/share/assay-sdk/template/${TEMPLATE} DESTINATION ${WORK})
run(${CMAKE_COMMAND} -S ${WORK}/${TEMPLATE} -B ${WORK}/build -DCMAKE_BUILD_TYPE=Debug
    -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_PREFIX_PATH=${WORK}/prefix)
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${CMAKE_CTEST_COMMAND} --test-dir ${WORK}/build --output-on-failure --no-tests=error)
