# Edits a copy of the ABI's headers, one harm at a time, and sees abi_layout.c refuse each; then some that are allowed.
# The header's own assertions are taken out first, so that the generated test is seen to catch all by itself:
#   cmake -D ABI=<sdk/abi> -D LAYOUT=<abi_layout.c> -D CC=gcc -D CXX=g++ -D WORK=<folder> -P abi_edits.cmake
cmake_minimum_required(VERSION 3.25)
set(languages "${CC} -std=c11" "${CXX} -std=c++20 -x c++")

# Compiles the layout test with the headers in WORK; statuses of all languages.
function(compile out)
  set(statuses "")
  foreach(language IN LISTS languages)
    separate_arguments(command UNIX_COMMAND "${language}")
    execute_process(COMMAND ${command} -fsyntax-only -I${WORK} ${LAYOUT}
      RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
    if(status EQUAL 0)
      list(APPEND statuses taken)
    elseif(said MATCHES "static assertion failed|static_assert failed|no member named|undeclared|is not a member|was not declared|has no member|has incomplete type|incomplete definition|could not convert")
      list(APPEND statuses refused)
    else()
      string(SUBSTRING "${said}" 0 400 said)
      list(APPEND statuses "broken: ${said}")
    endif()
  endforeach()
  list(REMOVE_DUPLICATES statuses)
  set(${out} "${statuses}" PARENT_SCOPE)
endfunction()

function(restore)
  foreach(header abi.h arrow_c.h ext.h)
    file(READ ${ABI}/assay/${header} text)
    string(REGEX REPLACE "\n[^\n]*ASSAY_(SIZE_IS|SLOT)\\([a-z][^\n]*" "\n" text "${text}")
    file(WRITE ${WORK}/assay/${header} "${text}")
  endforeach()
endfunction()

# edit(HEADER EXPECTED WHAT FROM TO [FROM TO]...): the replacements are one edit; each FROM must be there.
function(edit header expected what)
  restore()
  file(READ ${WORK}/assay/${header} text)
  set(changes "${ARGN}")
  while(changes)
    list(POP_FRONT changes from to)
    string(REPLACE "@" ";" from "${from}")
    string(REPLACE "@" ";" to "${to}")
    string(FIND "${text}" "${from}" at)
    if(at EQUAL -1)
      message(FATAL_ERROR "${what}: ${header} has no \"${from}\" any more; bring this edit up to date")
    endif()
    string(REPLACE "${from}" "${to}" text "${text}")
  endwhile()
  file(WRITE ${WORK}/assay/${header} "${text}")
  compile(status)
  if(NOT status STREQUAL expected)
    message(SEND_ERROR "${what}: ${status}, expected ${expected}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
restore()
compile(status)
if(NOT status STREQUAL "taken")
  message(FATAL_ERROR "the headers as they are: ${status}")
endif()

# @ stands for a semicolon.
edit(abi.h refused "two fields of one width change places"
  "uint64_t max_context, weight_bytes@" "uint64_t weight_bytes, max_context@")
edit(abi.h refused "two functions of one type change places"
  "assay_status (*get_text)" "assay_status (*TEMPORARY)" "assay_status (*get_json)" "assay_status (*get_text)"
  "assay_status (*TEMPORARY)" "assay_status (*get_json)")
edit(abi.h refused "two functions of other types change places"
  "(*log)(" "(*TEMPORARY)(" "(*cancelled)(" "(*log)(" "(*TEMPORARY)(" "(*cancelled)(")
edit(abi.h refused "a field is inserted" "double bits_per_weight@" "double bits_per_weight, more@")
edit(abi.h refused "a field is inserted where padding was not"
  "uint8_t code, bits@" "uint8_t code, bits, more@")
edit(abi.h refused "a field is taken out" "uint64_t prompt_tokens, cached_tokens, new_tokens@"
  "uint64_t prompt_tokens, new_tokens@")
edit(abi.h refused "the last field is taken out" "  double seconds@\n" "")
edit(abi.h refused "a field gets wider" "int32_t bos, eos@" "int64_t bos, eos@")
edit(abi.h refused "a field gets narrower" "uint64_t flags@           " "uint32_t flags@           ")
edit(abi.h refused "a field loses its sign" "  int32_t type, id@" "  uint32_t type, id@")
edit(abi.h refused "a number becomes a fraction of the same width" "  uint64_t seed@  " "  double seed@  ")
edit(abi.h refused "a text gets shorter" "char where[120]" "char where[119]")
edit(abi.h refused "a text gets longer" "char text[896]" "char text[1024]")
edit(abi.h refused "a pointer becomes a value" "  const assay_sampling* sampling@" "  assay_sampling sampling@")
edit(abi.h refused "a function takes one argument more"
  "void (*destroy)(void* self)" "void (*destroy)(void* self, int more)")
edit(abi.h refused "a function takes another type"
  "uint64_t row, const char* name, double value) ASSAY_NX@\n  /*"
  "uint32_t row, const char* name, double value) ASSAY_NX@\n  /*")
edit(abi.h refused "a function gives something else" "int32_t (*cancelled)" "uint8_t (*cancelled)")
edit(abi.h refused "a constant changes" "ASSAY_UNAVAILABLE = 14" "ASSAY_UNAVAILABLE = 15")
edit(abi.h refused "two constants change places"
  "ASSAY_INT = 2" "ASSAY_INT = 3" "ASSAY_FLOAT = 3" "ASSAY_FLOAT = 2")
edit(abi.h refused "a flag takes another bit" "ASSAY_BATCH_ORDERED = 2u" "ASSAY_BATCH_ORDERED = 8u")
edit(abi.h refused "a constant is taken out" "ASSAY_CAP_LOGITS = 32u," "")
edit(abi.h refused "the major changes" "ASSAY_ABI_MAJOR 1u" "ASSAY_ABI_MAJOR 2u")
edit(abi.h refused "a status gets unsigned" "typedef int32_t assay_status@" "typedef uint32_t assay_status@")
edit(abi.h refused "a field is aligned" "  assay_status code@\n" "  __attribute__((aligned(16))) assay_status code@\n")
edit(ext.h refused "two functions of an extension change places"
  "(*encode)(" "(*TEMPORARY)(" "(*ends)(" "(*encode)(" "(*TEMPORARY)(" "(*ends)(")
edit(ext.h refused "the id of an extension changes by its length" "assay.backend.memory/1\"" "assay.backend.memory/10\"")
edit(arrow_c.h refused "Arrow's arrays change" "  int64_t null_count@\n  int64_t offset@\n" "  int64_t offset@\n  int64_t null_count@\n")

edit(abi.h taken "a field is appended" "  double seconds@\n} assay_usage@" "  double seconds@\n  double joules@\n} assay_usage@")
edit(abi.h taken "a function is appended" "} assay_host@" "  void (*more)(void) ASSAY_NX@\n} assay_host@")
edit(abi.h taken "a constant is added" "ASSAY_REPORTER = 4" "ASSAY_REPORTER = 4, ASSAY_JUDGE = 5")
edit(abi.h taken "a comment changes" "An option that is not REQUIRED" "Any option that is not REQUIRED")
