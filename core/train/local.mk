# Training: sequences, batches, the trainer that steps, keeps and resumes.
core_libcore_la_SOURCES += \
	core/train/pack.c \
	core/train/sequences.c \
	core/train/state.c \
	core/train/trainer.c core/train/trainer.h \
	core/train/update.c
