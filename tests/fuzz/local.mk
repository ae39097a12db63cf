# Fuzz targets.  make check replays their corpora, with variants; with clang and
#     ../configure CC=clang CFLAGS='-g -O1 -fsanitize=fuzzer-no-link' --enable-sanitizers
# `make fuzz` looks for new inputs, FUZZ_SECONDS (default 300) of processor time each.
FUZZ_TARGETS = tests/fuzz/fuzz-chat tests/fuzz/fuzz-gguf tests/fuzz/fuzz-grammar \
	tests/fuzz/fuzz-pipeline tests/fuzz/fuzz-rows tests/fuzz/fuzz-safetensors tests/fuzz/fuzz-template tests/fuzz/fuzz-tokenizer \
	tests/fuzz/fuzz-vet
FUZZ = chat gguf grammar pipeline rows safetensors template tokenizer vet
FUZZ_SECONDS = 300

check_PROGRAMS += $(FUZZ_TARGETS)
tests_fuzz_fuzz_pipeline_SOURCES  = tests/fuzz/fuzz-pipeline.c tests/fuzz/file.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_fuzz_pipeline_LDADD    = core/libcore.la
tests_fuzz_fuzz_rows_SOURCES      = tests/fuzz/fuzz-rows.c tests/fuzz/file.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_fuzz_rows_LDADD        = core/libcore.la
tests_fuzz_fuzz_vet_SOURCES       = tests/fuzz/fuzz-vet.c tests/fuzz/file.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_fuzz_vet_LDADD         = core/libcore.la

tests_fuzz_fuzz_chat_SOURCES = tests/fuzz/fuzz-chat.c tests/fuzz/file.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_fuzz_chat_LDADD   = core/libcore.la
tests_fuzz_fuzz_gguf_SOURCES = tests/fuzz/fuzz-gguf.c tests/fuzz/file.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_fuzz_gguf_LDADD   = core/libcore.la
tests_fuzz_fuzz_grammar_SOURCES = tests/fuzz/fuzz-grammar.c tests/fuzz/file.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_fuzz_grammar_LDADD   = core/libcore.la
tests_fuzz_fuzz_safetensors_SOURCES = tests/fuzz/fuzz-safetensors.c tests/fuzz/file.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_fuzz_safetensors_LDADD   = core/libcore.la
tests_fuzz_fuzz_template_SOURCES = tests/fuzz/fuzz-template.c tests/fuzz/file.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_fuzz_template_LDADD   = core/libcore.la
tests_fuzz_fuzz_tokenizer_SOURCES = tests/fuzz/fuzz-tokenizer.c tests/fuzz/file.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_fuzz_tokenizer_LDADD   = core/libcore.la

EXTRA_DIST += tests/fuzz/corpus

fuzz: $(FUZZ_TARGETS) $(plugin_LTLIBRARIES)
	for t in $(FUZZ); do \
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
