plugin_LTLIBRARIES += rl-dpo.la
rl_dpo_la_SOURCES  = plugins/rl/dpo.c
rl_dpo_la_CPPFLAGS = $(PLUGIN_INCLUDES)
rl_dpo_la_LDFLAGS  = -module $(PLUGIN_LINK)
rl_dpo_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += rl-grpo.la
rl_grpo_la_SOURCES  = plugins/rl/grpo.c
rl_grpo_la_CPPFLAGS = $(PLUGIN_INCLUDES)
rl_grpo_la_LDFLAGS  = -module $(PLUGIN_LINK)
rl_grpo_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += rl-rloo.la
rl_rloo_la_SOURCES  = plugins/rl/rloo.c
rl_rloo_la_CPPFLAGS = $(PLUGIN_INCLUDES)
rl_rloo_la_LDFLAGS  = -module $(PLUGIN_LINK)
rl_rloo_la_LIBADD   = libretort.la -lm
