# The model room: configuration, checkpoints, the decoder transformer.
core_libcore_la_SOURCES += \
	core/model/checkpoint.c core/model/checkpoint.h \
	core/model/checkpoint-gguf.c \
	core/model/checkpoint-write.c \
	core/model/config.c core/model/config.h \
	core/model/damage.h core/model/gguf.c core/model/gguf.h \
	core/model/gguf-write.c \
	core/model/layer.c core/model/layer.h \
	core/model/layer-backward.c \
	core/model/model.c core/model/model.h \
	core/model/pack.c \
	core/model/rope.c \
	core/model/rt-gguf.c \
	core/model/rt-model.c core/model/rt-model.h \
	core/model/rt-run.c \
	core/model/rt-text.c \
	core/model/rt-write.c \
	core/model/safetensors.c core/model/safetensors-folder.c \
	core/model/weights.c core/model/weights.h
