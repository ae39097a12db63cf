# What others read of what we write: needs Python packages and llama.cpp, and says what it skips.
interop: all tests/interop/rounded-logits
	srcdir=$(abs_srcdir) retort=$(abs_builddir)/retort rounded=$(abs_builddir)/tests/interop/rounded-logits \
	  PYTHONDONTWRITEBYTECODE=1 $${RETORT_PYTHON:-python3} $(abs_srcdir)/tests/interop/interop.py
.PHONY: interop
EXTRA_DIST += tests/interop/interop.py tests/interop/models.py tests/interop/rounding.py tests/interop/teachers.py \
	tests/interop/templates.py tests/interop/llama-logits.c

EXTRA_PROGRAMS += tests/interop/rounded-logits
tests_interop_rounded_logits_SOURCES  = tests/interop/rounded-logits.c
tests_interop_rounded_logits_CPPFLAGS = $(TEST_CPPFLAGS)
tests_interop_rounded_logits_LDADD    = core/libcore.la
