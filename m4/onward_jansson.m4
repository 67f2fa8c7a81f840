# ONWARD_JANSSON: jansson reads and writes JSON (status.json, events.jsonl). JANSSON_CFLAGS, _LIBS.
AC_DEFUN([ONWARD_JANSSON], [
ONWARD_PKG_NEEDED([JANSSON], [jansson], [-ljansson], [jansson.h], [json_loads], [libjansson-dev])
])
