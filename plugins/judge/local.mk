plugin_LTLIBRARIES += judge-agree.la
judge_agree_la_SOURCES  = plugins/judge/agree.c
judge_agree_la_CPPFLAGS = $(PLUGIN_INCLUDES)
judge_agree_la_LDFLAGS  = -module $(PLUGIN_LINK)
judge_agree_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += judge-call-match.la
judge_call_match_la_SOURCES  = plugins/judge/call-match.c plugins/judge/words.c plugins/judge/words.h
judge_call_match_la_CPPFLAGS = $(PLUGIN_INCLUDES)
judge_call_match_la_LDFLAGS  = -module $(PLUGIN_LINK)
judge_call_match_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += judge-exact.la
judge_exact_la_SOURCES  = plugins/judge/exact.c
judge_exact_la_CPPFLAGS = $(PLUGIN_INCLUDES)
judge_exact_la_LDFLAGS  = -module $(PLUGIN_LINK)
judge_exact_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += judge-schema.la
judge_schema_la_SOURCES  = plugins/judge/schema.c
judge_schema_la_CPPFLAGS = $(PLUGIN_INCLUDES)
judge_schema_la_LDFLAGS  = -module $(PLUGIN_LINK)
judge_schema_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += judge-llm.la
judge_llm_la_SOURCES  = plugins/judge/llm.c
judge_llm_la_CPPFLAGS = $(PLUGIN_INCLUDES)
judge_llm_la_LDFLAGS  = -module $(PLUGIN_LINK)
judge_llm_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += judge-rouge.la
judge_rouge_la_SOURCES  = plugins/judge/rouge.c plugins/judge/words.c plugins/judge/words.h
judge_rouge_la_CPPFLAGS = $(PLUGIN_INCLUDES)
judge_rouge_la_LDFLAGS  = -module $(PLUGIN_LINK)
judge_rouge_la_LIBADD   = libretort.la -lm
