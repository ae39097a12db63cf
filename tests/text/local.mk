EXTRA_DIST += tests/golden/chat tests/golden/chat-templates tests/golden/gpt2 tests/golden/tok-llama2-style tests/golden/tok-llama3-style \
	tests/golden/tok-qwen2.5 tests/golden/tokenizer-vectors

if HAVE_CHECK
check_PROGRAMS += tests/text/test-chat tests/text/test-grammar tests/text/test-tokenizer

tests_text_test_chat_SOURCES  = tests/text/test-chat.c tests/golden.h tests/runner.h
tests_text_test_chat_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS)
tests_text_test_chat_LDADD    = $(TEST_LIBS)

tests_text_test_grammar_SOURCES  = tests/text/test-grammar.c tests/golden.h tests/runner.h tests/torture.h
tests_text_test_grammar_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS)
tests_text_test_grammar_LDADD    = $(TEST_LIBS)

tests_text_test_tokenizer_SOURCES  = tests/text/test-tokenizer.c tests/golden.h tests/runner.h
tests_text_test_tokenizer_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS)
tests_text_test_tokenizer_LDADD    = $(TEST_LIBS)
endif
