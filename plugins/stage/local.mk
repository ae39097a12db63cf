plugin_LTLIBRARIES += stage-dataset.la
stage_dataset_la_SOURCES  = plugins/stage/dataset.c plugins/stage/import.c plugins/stage/import.h \
	plugins/stage/messages.c plugins/stage/messages.h \
	plugins/stage/csv.c plugins/stage/csv.h plugins/stage/filter.c plugins/stage/filter.h \
	plugins/stage/source.c plugins/stage/source.h \
	plugins/stage/seen.c plugins/stage/seen.h plugins/judge/words.c plugins/judge/words.h
stage_dataset_la_CPPFLAGS = $(PLUGIN_INCLUDES)
stage_dataset_la_LDFLAGS  = -module $(PLUGIN_LINK)
stage_dataset_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += stage-evaluate.la
stage_evaluate_la_SOURCES  = plugins/stage/evaluate.c \
	plugins/stage/evaluate-calls.c plugins/stage/evaluate-calls.h \
	plugins/stage/scores.c plugins/stage/scores.h
stage_evaluate_la_CPPFLAGS = $(PLUGIN_INCLUDES)
stage_evaluate_la_LDFLAGS  = -module $(PLUGIN_LINK)
stage_evaluate_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += stage-compare.la
stage_compare_la_SOURCES  = plugins/stage/compare.c
stage_compare_la_CPPFLAGS = $(PLUGIN_INCLUDES)
stage_compare_la_LDFLAGS  = -module $(PLUGIN_LINK)
stage_compare_la_LIBADD   = libretort.la

plugin_LTLIBRARIES += stage-reject.la
stage_reject_la_SOURCES  = plugins/stage/reject.c plugins/stage/scores.c plugins/stage/scores.h
stage_reject_la_CPPFLAGS = $(PLUGIN_INCLUDES)
stage_reject_la_LDFLAGS  = -module $(PLUGIN_LINK)
stage_reject_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += stage-sample.la
stage_sample_la_SOURCES  = plugins/stage/sample.c plugins/stage/ask.c plugins/stage/ask.h
stage_sample_la_CPPFLAGS = $(PLUGIN_INCLUDES)
stage_sample_la_LDFLAGS  = -module $(PLUGIN_LINK)
stage_sample_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += stage-write.la
stage_write_la_SOURCES  = plugins/stage/write.c plugins/stage/write.h plugins/stage/write-request.c \
	plugins/stage/write-ask.c plugins/stage/write-ask.h \
	plugins/stage/ask.c plugins/stage/ask.h plugins/stage/seen.c plugins/stage/seen.h \
	plugins/judge/words.c plugins/judge/words.h
stage_write_la_CPPFLAGS = $(PLUGIN_INCLUDES)
stage_write_la_LDFLAGS  = -module $(PLUGIN_LINK)
stage_write_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += stage-model.la
stage_model_la_SOURCES  = plugins/stage/model.c plugins/stage/model-text.c plugins/stage/model-text.h
stage_model_la_CPPFLAGS = $(PLUGIN_INCLUDES)
stage_model_la_LDFLAGS  = -module $(PLUGIN_LINK)
stage_model_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += stage-train.la
stage_train_la_SOURCES  = plugins/stage/train.c plugins/stage/trial.c plugins/stage/trial.h \
	plugins/stage/training.c plugins/stage/training.h \
	plugins/stage/scores.c plugins/stage/scores.h
stage_train_la_CPPFLAGS = $(PLUGIN_INCLUDES)
stage_train_la_LDFLAGS  = -module $(PLUGIN_LINK)
stage_train_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += stage-augment.la
stage_augment_la_SOURCES  = plugins/stage/augment.c
stage_augment_la_CPPFLAGS = $(PLUGIN_INCLUDES)
stage_augment_la_LDFLAGS  = -module $(PLUGIN_LINK)
stage_augment_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += stage-distill.la
stage_distill_la_SOURCES  = plugins/stage/distill.c plugins/stage/apart.c plugins/stage/apart.h \
	plugins/stage/taught.c plugins/stage/taught.h plugins/stage/top.c plugins/stage/top.h \
	plugins/stage/training.c plugins/stage/training.h
stage_distill_la_CPPFLAGS = $(PLUGIN_INCLUDES)
stage_distill_la_LDFLAGS  = -module $(PLUGIN_LINK)
stage_distill_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += stage-score.la
stage_score_la_SOURCES  = plugins/stage/score.c plugins/stage/top.c plugins/stage/top.h
stage_score_la_CPPFLAGS = $(PLUGIN_INCLUDES)
stage_score_la_LDFLAGS  = -module $(PLUGIN_LINK)
stage_score_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += stage-reinforce.la
stage_reinforce_la_SOURCES  = plugins/stage/reinforce.c plugins/stage/reinforce.h \
	plugins/stage/reinforce-rollout.c plugins/stage/reinforce-update.c \
	plugins/stage/policy.c plugins/stage/policy.h \
	plugins/stage/scores.c plugins/stage/scores.h \
	plugins/stage/training.c plugins/stage/training.h
stage_reinforce_la_CPPFLAGS = $(PLUGIN_INCLUDES)
stage_reinforce_la_LDFLAGS  = -module $(PLUGIN_LINK)
stage_reinforce_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += stage-prefer.la
stage_prefer_la_SOURCES  = plugins/stage/prefer.c plugins/stage/pairs.c plugins/stage/pairs.h \
	plugins/stage/policy.c plugins/stage/policy.h plugins/stage/scores.c plugins/stage/scores.h \
	plugins/stage/training.c plugins/stage/training.h
stage_prefer_la_CPPFLAGS = $(PLUGIN_INCLUDES)
stage_prefer_la_LDFLAGS  = -module $(PLUGIN_LINK)
stage_prefer_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += stage-prune.la
stage_prune_la_SOURCES  = plugins/stage/prune.c plugins/stage/prune.h plugins/stage/prune-cut.c \
	plugins/stage/prune-stats.c plugins/stage/prune-stats.h \
	plugins/stage/cut-text.c plugins/stage/cut-text.h plugins/stage/pick.c plugins/stage/pick.h \
	plugins/stage/calibration.c plugins/stage/calibration.h
stage_prune_la_CPPFLAGS = $(PLUGIN_INCLUDES)
stage_prune_la_LDFLAGS  = -module $(PLUGIN_LINK)
stage_prune_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += stage-quantize.la
stage_quantize_la_SOURCES  = plugins/stage/quantize.c \
	plugins/stage/calibration.c plugins/stage/calibration.h \
	plugins/stage/divergence.c plugins/stage/divergence.h \
	plugins/stage/matrix.c plugins/stage/matrix.h
stage_quantize_la_CPPFLAGS = $(PLUGIN_INCLUDES)
stage_quantize_la_LDFLAGS  = -module $(PLUGIN_LINK)
stage_quantize_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += stage-export.la
stage_export_la_SOURCES  = plugins/stage/export.c plugins/stage/answers.c plugins/stage/answers.h \
	plugins/stage/calibration.c plugins/stage/calibration.h \
	plugins/stage/divergence.c plugins/stage/divergence.h
stage_export_la_CPPFLAGS = $(PLUGIN_INCLUDES)
stage_export_la_LDFLAGS  = -module $(PLUGIN_LINK)
stage_export_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += stage-measure.la
stage_measure_la_SOURCES  = plugins/stage/measure.c plugins/stage/answers.c plugins/stage/answers.h
stage_measure_la_CPPFLAGS = $(PLUGIN_INCLUDES)
stage_measure_la_LDFLAGS  = -module $(PLUGIN_LINK)
stage_measure_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += stage-prototype.la
stage_prototype_la_SOURCES  = plugins/stage/prototype.c plugins/stage/prototype-talk.c \
	plugins/stage/prototype-talk.h plugins/stage/ask.c plugins/stage/ask.h
stage_prototype_la_CPPFLAGS = $(PLUGIN_INCLUDES)
stage_prototype_la_LDFLAGS  = -module $(PLUGIN_LINK)
stage_prototype_la_LIBADD   = libretort.la -lm
