# Speed and memory beside llama.cpp and PyTorch, where they are; takes an hour or two, and wants a machine that rests.
# BENCH_ARGS: what tests/bench/compare takes, --rows decode for one.
bench: all
	retort=$(abs_builddir)/retort $${RETORT_PYTHON:-python3} $(abs_srcdir)/tests/bench/compare \
	  --folder $(abs_builddir)/bench --output $(abs_builddir)/bench/RESULTS.md $(BENCH_ARGS)
# The peers, put into the folder RETORT_PEERS.
bench-peers:
	$(abs_srcdir)/tests/bench/peers "$${RETORT_PEERS:?names a folder}"
.PHONY: bench bench-peers
EXTRA_DIST += tests/bench/compare tests/bench/peer.py tests/bench/peers tests/bench/programs.py tests/bench/report.py \
	tests/bench/table.py tests/bench/notes-avx2.md tests/bench/notes-avx512-bf16.md \
	tests/bench/RESULTS.md tests/bench/RESULTS-avx2.md tests/bench/RESULTS-epyc5.md
