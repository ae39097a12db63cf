# core: every room goes into one convenience library.  libretort exports its rt_* symbols;
# unit tests link the whole of it, so that they reach what is private too.
noinst_LTLIBRARIES += core/libcore.la
core_libcore_la_SOURCES  =
core_libcore_la_CPPFLAGS = $(AM_CPPFLAGS) $(LIBCONFIG_CFLAGS) $(JANSSON_CFLAGS) $(NETTLE_CFLAGS) \
	$(OPENBLAS_CFLAGS) $(PCRE2_CFLAGS) $(UTF8PROC_CFLAGS) \
	-DRETORT_VERSION='"$(PACKAGE_VERSION)"' -DRETORT_PLUGINDIR='"$(plugindir)"' \
	-DRETORT_DATADIR='"$(pkgdatadir)"'
core_libcore_la_LIBADD   = $(LIBCONFIG_LIBS) $(JANSSON_LIBS) $(NETTLE_LIBS) $(OPENBLAS_LIBS) \
	$(PCRE2_LIBS) $(UTF8PROC_LIBS) $(LTDL_LIBS) -lpthread -lm

include core/base/local.mk
include core/data/local.mk
include core/plugin/local.mk
include core/tensor/local.mk
include core/model/local.mk
include core/text/local.mk
include core/engine/local.mk
include core/train/local.mk
include core/pipeline/local.mk
include core/cli/local.mk

lib_LTLIBRARIES += libretort.la
libretort_la_SOURCES      =
libretort_la_LIBADD       = core/libcore.la
libretort_la_LDFLAGS      = $(AM_LDFLAGS) -version-info 1:0:0 -no-undefined \
	-Wl,--version-script=$(srcdir)/core/retort.map $(NO_UNDEFINED)
libretort_la_DEPENDENCIES = core/libcore.la $(srcdir)/core/retort.map
EXTRA_DIST += core/retort.map

bin_PROGRAMS  += retort
retort_SOURCES = core/cli/main.c
retort_LDADD   = libretort.la
# It finds its library after `make install` whether or not ldconfig has been run.
retort_LDFLAGS = $(AM_LDFLAGS) -Wl,-rpath,'$(libdir)' -Wl,--enable-new-dtags
