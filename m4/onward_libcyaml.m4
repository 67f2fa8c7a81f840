# ONWARD_LIBCYAML: libcyaml reads YAML against a schema (configurations). CYAML_CFLAGS, CYAML_LIBS.
AC_DEFUN([ONWARD_LIBCYAML], [
ONWARD_PKG_NEEDED([CYAML], [libcyaml], [-lcyaml -lyaml], [cyaml/cyaml.h], [cyaml_load_file],
  [libcyaml-dev])
])
