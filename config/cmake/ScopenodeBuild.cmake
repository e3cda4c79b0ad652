# One way to make a library or a test program: every .cpp of a folder, our warnings, our sanitizers.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release)
endif()

find_program(SCOPENODE_CCACHE ccache)
if(SCOPENODE_CCACHE)
    # Paths below the checkout are hashed as relative ones, so that a fresh clone compiles from the cache.
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
        ${SCOPENODE_CCACHE})
endif()

# A torch file needs 1 to 2 GB of memory to compile.
set_property(GLOBAL APPEND PROPERTY JOB_POOLS torch=2)

add_library(scopenode_options INTERFACE)
target_compile_options(scopenode_options INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
    $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond> -Wimplicit-fallthrough $<$<BOOL:${SCOPENODE_WERROR}>:-Werror>
    # g++ 12 sees overlaps in std::string's operator+ that are not there (GCC bug 105651).
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
target_include_directories(scopenode_options INTERFACE ${CMAKE_SOURCE_DIR})
if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(scopenode_options INTERFACE -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    target_compile_definitions(scopenode_options INTERFACE _GLIBCXX_ASSERTIONS)
endif()
if(SCOPENODE_SANITIZE)
    # Debian's LibTorch is not instrumented; the sanitizers watch our own code and what it calls with.
    # Instrumented code of LibTorch's headers looks uninitialised to g++ 12.
    target_compile_options(scopenode_options INTERFACE
        -fsanitize=${SCOPENODE_SANITIZE} -fno-omit-frame-pointer -O1 -g1
        $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    target_link_options(scopenode_options INTERFACE -fsanitize=${SCOPENODE_SANITIZE})
    if(SCOPENODE_SANITIZE MATCHES "undefined")
        target_compile_options(scopenode_options INTERFACE -fno-sanitize-recover=undefined -fno-sanitize=vptr)
    endif()
endif()

if(SCOPENODE_FUZZ)
    target_compile_options(scopenode_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

function(scopenode_sources OUT)
    cmake_parse_arguments(A "" "" "FOLDERS;EXCLUDE" ${ARGN})
    set(found)
    foreach(folder ${A_FOLDERS})
        file(GLOB here CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cpp)
        list(APPEND found ${here})
    endforeach()
    foreach(name ${A_EXCLUDE})
        list(FILTER found EXCLUDE REGEX "/${name}$")
    endforeach()
    set(${OUT} ${found} PARENT_SCOPE)
endfunction()

function(scopenode_add_library NAME)
    cmake_parse_arguments(A "TORCH" "" "FOLDERS;EXCLUDE;DEPS" ${ARGN})
    scopenode_sources(sources FOLDERS ${A_FOLDERS} EXCLUDE ${A_EXCLUDE})
    if(sources)
        add_library(${NAME} STATIC ${sources})
        target_link_libraries(${NAME} PUBLIC scopenode_options ${A_DEPS})
        if(A_TORCH)
            set_target_properties(${NAME} PROPERTIES JOB_POOL_COMPILE torch)
            target_compile_options(${NAME} PRIVATE -Wno-shadow -Wno-pedantic)
        endif()
    else()
        add_library(${NAME} INTERFACE)
        target_link_libraries(${NAME} INTERFACE scopenode_options ${A_DEPS})
    endif()
endfunction()

# DCMTK's own targets, as system headers.
add_library(scopenode_dcmtk INTERFACE)
if(NOT SCOPENODE_ML_ONLY)
    target_link_libraries(scopenode_dcmtk INTERFACE DCMTK::dcmnet DCMTK::dcmsr DCMTK::dcmdata
        DCMTK::dcmjpeg DCMTK::dcmjpls DCMTK::dcmimgle DCMTK::dcmimage DCMTK::ofstd DCMTK::oflog)
endif()
