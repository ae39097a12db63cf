# What plugin authors get: headers, a pkg-config file, an autoconf macro, templates.
retortincludedir = $(includedir)/retort
dist_retortinclude_HEADERS = \
	sdk/include/retort/blocks.h \
	sdk/include/retort/chat.h \
	sdk/include/retort/context.h \
	sdk/include/retort/distill.h \
	sdk/include/retort/error.h \
	sdk/include/retort/file.h \
	sdk/include/retort/format.h \
	sdk/include/retort/generate.h \
	sdk/include/retort/grammar.h \
	sdk/include/retort/hash.h \
	sdk/include/retort/json.h \
	sdk/include/retort/judge.h \
	sdk/include/retort/memory.h \
	sdk/include/retort/metrics.h \
	sdk/include/retort/model.h \
	sdk/include/retort/optimizer.h \
	sdk/include/retort/parallel.h \
	sdk/include/retort/param.h \
	sdk/include/retort/plugin.h \
	sdk/include/retort/pruner.h \
	sdk/include/retort/quantizer.h \
	sdk/include/retort/random.h \
	sdk/include/retort/rejector.h \
	sdk/include/retort/rl.h \
	sdk/include/retort/row.h \
	sdk/include/retort/rows.h \
	sdk/include/retort/safetensors.h \
	sdk/include/retort/sampler.h \
	sdk/include/retort/schema.h \
	sdk/include/retort/stage.h \
	sdk/include/retort/teacher.h \
	sdk/include/retort/tensor.h \
	sdk/include/retort/text.h \
	sdk/include/retort/tokenizer.h \
	sdk/include/retort/tool.h \
	sdk/include/retort/train.h \
	sdk/include/retort/tracker.h

pkgconfig_DATA = sdk/retort.pc
aclocal_DATA   = sdk/retort.m4

# The templates find the macro one folder up, here and where they are installed.
dist_pkgdata_DATA  = sdk/retort.m4
templatedir        = $(pkgdatadir)/template
dist_template_DATA = \
	sdk/template/Makefile.am sdk/template/README sdk/template/configure.ac sdk/template/gitignore \
	sdk/template/distill.c sdk/template/format.c sdk/template/judge.c sdk/template/optimizer.c \
	sdk/template/pruner.c sdk/template/quantizer.c sdk/template/rejector.c sdk/template/rl.c \
	sdk/template/sampler.c sdk/template/stage.c sdk/template/teacher.c sdk/template/tool.c \
	sdk/template/tracker.c
