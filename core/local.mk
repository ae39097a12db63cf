# core: every room goes into one convenience library.  libretort exports its rt_* symbols;
# unit tests link the whole of it, so that they reach what is private too.
noinst_LTLIBRARIES += core/libcore.la
core_libcore_la_SOURCES  =
core_libcore_la_CPPFLAGS = $(AM_CPPFLAGS) $(LIBCONFIG_CFLAGS) $(JANSSON_CFLAGS) $(NETTLE_CFLAGS) \
	$(OPENBLAS_CFLAGS) $(PCRE2_CFLAGS) $(UTF8PROC_CFLAGS) $(SQLITE_CFLAGS)
core_libcore_la_LIBADD   = $(LIBCONFIG_LIBS) $(JANSSON_LIBS) $(NETTLE_LIBS) $(OPENBLAS_LIBS) \
	$(PCRE2_LIBS) $(UTF8PROC_LIBS) $(LTDL_LIBS) -lpthread -lm

include core/base/local.mk
include core/tensor/local.mk
