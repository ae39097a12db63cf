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
assistantteacherdir = $(examplesdir)/assistant/teacher
dist_assistantteacher_DATA = \
	examples/assistant/teacher/chat_template.jinja \
	examples/assistant/teacher/config.json \
	examples/assistant/teacher/generation_config.json \
	examples/assistant/teacher/model.safetensors \
	examples/assistant/teacher/tokenizer.json \
	examples/assistant/teacher/tokenizer_config.json
assistantdatadir = $(examplesdir)/assistant/data
dist_assistantdata_DATA = \
	examples/assistant/data/NOTICE \
	examples/assistant/data/system.txt \
	examples/assistant/data/test.jsonl \
	examples/assistant/data/tools.json \
	examples/assistant/data/train.jsonl \
	examples/assistant/data/valid.jsonl
bankingdir = $(examplesdir)/banking
dist_banking_DATA = \
	examples/banking/banking.cfg \
	examples/banking/tiny.cfg
bankingdatadir = $(examplesdir)/banking/data
dist_bankingdata_DATA = \
	examples/banking/data/NOTICE \
	examples/banking/data/test.jsonl \
	examples/banking/data/tools.json \
	examples/banking/data/train.jsonl \
	examples/banking/data/valid.jsonl
EXTRA_DIST += tests/valgrind.supp examples/quickstart tests/run tests/setup.sh tests/count.sh
