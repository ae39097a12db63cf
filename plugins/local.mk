# One shared object a plugin, all in one folder: built beside the program, where it finds them.
# -module must stand in each line literally, automake looks for it.
PLUGIN_LINK = $(AM_LDFLAGS) -avoid-version -shared -no-undefined \
	-export-symbols-regex '^retort_plugin$$' $(NO_UNDEFINED) -Wl,-z,now -Wl,-z,nodelete
PLUGIN_INCLUDES = -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -I$(srcdir)/sdk/include

include plugins/distill/local.mk
include plugins/format/local.mk
include plugins/judge/local.mk
include plugins/optimizer/local.mk
include plugins/pruner/local.mk
include plugins/quantizer/local.mk
include plugins/rejector/local.mk
include plugins/rl/local.mk
include plugins/sampler/local.mk
include plugins/stage/local.mk
include plugins/teacher/local.mk
include plugins/tool/local.mk
include plugins/tracker/local.mk
