# Fuzz targets.  make check replays their corpora, with variants; with clang and
#     ../configure CC=clang CFLAGS='-g -O1 -fsanitize=fuzzer-no-link' --enable-sanitizers
# `make fuzz` looks for new inputs, FUZZ_SECONDS (default 300) of processor time each.
FUZZ_TARGETS = tests/fuzz/fuzz-pipeline tests/fuzz/fuzz-rows tests/fuzz/fuzz-vet
FUZZ_SECONDS = 300

check_PROGRAMS += $(FUZZ_TARGETS)
tests_fuzz_fuzz_pipeline_SOURCES  = tests/fuzz/fuzz-pipeline.c tests/fuzz/file.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_fuzz_pipeline_LDADD    = core/libcore.la
tests_fuzz_fuzz_rows_SOURCES      = tests/fuzz/fuzz-rows.c tests/fuzz/file.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_fuzz_rows_LDADD        = core/libcore.la
tests_fuzz_fuzz_vet_SOURCES       = tests/fuzz/fuzz-vet.c tests/fuzz/file.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_fuzz_vet_LDADD         = core/libcore.la

EXTRA_DIST += tests/fuzz/corpus

fuzz: $(FUZZ_TARGETS) $(plugin_LTLIBRARIES)
	for t in pipeline rows vet; do \
	  $(CC) $(AM_CPPFLAGS) $(CFLAGS) $(SANITIZER_CFLAGS) -fsanitize=fuzzer -o tests/fuzz/find-$$t \
	    $(srcdir)/tests/fuzz/fuzz-$$t.c $(srcdir)/tests/fuzz/file.c -I$(srcdir)/tests/fuzz \
	    -Wl,--whole-archive core/.libs/libcore.a -Wl,--no-whole-archive \
	    $(LIBCONFIG_LIBS) $(JANSSON_LIBS) $(NETTLE_LIBS) $(OPENBLAS_LIBS) $(PCRE2_LIBS) \
	    $(UTF8PROC_LIBS) $(LTDL_LIBS) -lpthread -lm || exit 1; \
	  mkdir -p tests/fuzz/found-$$t; \
	  tests/fuzz/find-$$t -max_total_time=$(FUZZ_SECONDS) \
	    -rss_limit_mb=4096 -timeout=10 tests/fuzz/found-$$t $(srcdir)/tests/fuzz/corpus/$$t || exit 1; \
	done
.PHONY: fuzz
