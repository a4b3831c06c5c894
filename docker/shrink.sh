#!/bin/sh
# Removes what no run imports from a site-packages folder: headers, tests, stubs, sources of Cython, and
# Arrow's servers (Flight), templates of new projects. tests/containers/test_image.py imports what is left.
set -eu
cd "$1"

for package in numpy pandas pyarrow scipy sklearn matplotlib; do
    [ ! -d "$package" ] || find "$package" -type d \( -name tests -o -name include \) -prune -exec rm -rf {} +
done
find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.a' \) -delete
rm -rf kedro/templates pyarrow/src _duckdb-stubs duckdb-stubs adbc_driver_duckdb
rm -f pyarrow/*flight* pyarrow/_pyarrow_cpp_tests*

# Wheels hold no links: a library lies there under three names, and only one of them is asked for.
for library in pyarrow/lib*.so.*.*.*; do
    [ -e "$library" ] || continue
    rm -f "$library" "${library%%.so.*}.so"
done

# Names for linkers and debuggers. What was grafted into *.libs was patched already: it is left as it is.
find . -type f -name '*.so*' -not -path './*.libs/*' -exec strip --strip-unneeded {} +

if find pyarrow -name '*.so*' -exec ldd {} + | grep 'not found'; then
    echo "shrink.sh: pyarrow needs these libraries; remove less" >&2
    exit 1
fi
