# What others read of what we write: needs Python packages and llama.cpp, and says what it skips.
interop: all
	srcdir=$(abs_srcdir) retort=$(abs_builddir)/retort PYTHONDONTWRITEBYTECODE=1 \
	  $${RETORT_PYTHON:-python3} $(abs_srcdir)/tests/interop/interop.py
.PHONY: interop
EXTRA_DIST += tests/interop/interop.py tests/interop/models.py tests/interop/teachers.py tests/interop/templates.py \
	tests/interop/llama-logits.c
