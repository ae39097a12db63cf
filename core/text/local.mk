core_libcore_la_SOURCES += \
	core/text/chat.c \
	core/text/chat-calls.c \
	core/text/grammar.c core/text/grammar.h \
	core/text/grammar-answer.c core/text/grammar-step.h \
	core/text/grammar-make.c core/text/grammar-make.h \
	core/text/grammar-number.c \
	core/text/grammar-schema.c \
	core/text/grammar-shape.c \
	core/text/grammar-value.c \
	core/text/jinja.h \
	core/text/jinja-builtin.c \
	core/text/jinja-eval.c \
	core/text/jinja-expr.c \
	core/text/jinja-parse.c core/text/jinja-parse.h \
	core/text/jinja-run.c \
	core/text/jinja-string.c \
	core/text/jinja-token.c \
	core/text/jinja-value.c \
	core/text/normal.c core/text/normal.h \
	core/text/regex.c core/text/regex.h \
	core/text/schema.c core/text/schema.h \
	core/text/tok-known.c core/text/tok-known.h \
	core/text/tok.h \
	core/text/tokenizer.c \
	core/text/tokenizer-added.c \
	core/text/tokenizer-arrays.c \
	core/text/tokenizer-bpe.c \
	core/text/tokenizer-decode.c \
	core/text/tokenizer-export.c \
	core/text/tokenizer-files.c \
	core/text/tokenizer-json.c \
	core/text/tokenizer-normalize.c \
	core/text/tokenizer-split.c \
	core/text/tokenizer-train.c \
	core/text/tokenizer-vocab.c
