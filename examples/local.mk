# Each folder a pipeline that runs; installed as it is.
assistantdir = $(examplesdir)/assistant
dist_assistant_DATA = \
	examples/assistant/assistant.cfg \
	examples/assistant/baseline.cfg \
	examples/assistant/full.cfg \
	examples/assistant/http.cfg \
	examples/assistant/prototype.cfg \
	examples/assistant/teacher.cfg \
	examples/assistant/tiny.cfg
assistantdatadir = $(examplesdir)/assistant/data
dist_assistantdata_DATA = \
	examples/assistant/data/NOTICE \
	examples/assistant/data/system.txt \
	examples/assistant/data/test.jsonl \
	examples/assistant/data/tools.json \
	examples/assistant/data/train.jsonl \
	examples/assistant/data/valid.jsonl
EXTRA_DIST += tests/valgrind.supp examples/quickstart tests/run tests/setup.sh tests/count.sh
