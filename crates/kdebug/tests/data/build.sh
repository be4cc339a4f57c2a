#!/bin/sh
# Rebuilds the objects beside this script, with GCC 12 and binutils 2.40.
set -eu
cd "$(dirname "$0")"
cc() { gcc -c -ffile-prefix-map="$PWD=." -gno-record-gcc-switches -fno-asynchronous-unwind-tables -fno-pic "$@"; }
cc -gdwarf-5 layouts.c -o dwarf5.o
cc -gdwarf-5 -gz=zlib layouts.c -o dwarf5-zlib.o
cc -gdwarf-5 -gz=zlib-gnu layouts.c -o dwarf5-zdebug.o
cc -gdwarf-3 layouts.c -o dwarf3.o
cc -gdwarf-2 -gstrict-dwarf layouts.c -o dwarf2.o
cc -gdwarf-4 -m32 layouts.c -o dwarf4-i386.o
cc -gdwarf-5 -gsplit-dwarf layouts.c -o split.o
objcopy --compress-debug-sections=zstd dwarf5.o dwarf5-zstd.o
# Objects have a section for each type unit; only linking makes one of them.
for version in 4 5; do cc -gdwarf-$version -fdebug-types-section layouts.c -o dwarf$version-types.o; done
ld -e 0 -Ttext=0x81000000 dwarf4-types.o -o dwarf4-types
# A "kernel": two units, linked, with its relocations kept although they are applied.
for unit in layouts other; do cc -g $unit.c -o $unit.o; done
ld -e 0 -T kernel.lds --emit-relocs --build-id=sha1 layouts.o other.o -o kernel
objcopy --only-keep-debug kernel kernel.debug
strip --strip-all kernel -o kernel.stripped
rm layouts.o other.o split.dwo
