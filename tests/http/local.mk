# A server that misbehaves, for the tests of teachers; as a program it serves the shell tests.
noinst_PROGRAMS += tests/http/serve
tests_http_serve_SOURCES  = tests/http/serve.c tests/http/server.c tests/http/server.h
tests_http_serve_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests $(SQLITE_CFLAGS)
tests_http_serve_LDADD    = core/libcore.la $(SQLITE_LIBS) -lpthread
