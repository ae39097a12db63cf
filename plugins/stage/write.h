/* write.h - what the parts of stage-write share: its parameters, and a run. */
#ifndef STAGE_WRITE_H
#define STAGE_WRITE_H

#include "seen.h"
#include "write-ask.h"

#include <retort/rows.h>
#include <retort/stage.h>
#include <retort/teacher.h>

enum { MOST_EXAMPLES = 64 };

struct config {
	const struct rt_artifact *data;
	struct rt_inputs          exclude;
	struct rt_component      *teacher;
	int                       how;
	int64_t                   count, each, examples, max_asked, max_tokens, shingle;
	int64_t                   min_words, max_words, batch;
	double                    temperature, top_p, near, max_failed;
	const char               *instruction, *tools, *system;
};

/* What a message that was seen is. */
enum { EXAMPLE, WRITTEN, EXCLUDED };

enum fate { KEPT, SAME, NEAR, OUT, NEARLY_OUT, SHORT, LONG, CUT, FATES };

/* One run. */
struct job {
	const struct config *cfg;
	struct rt_context   *c;
	struct ask_files     files;
	struct ask_journal   journal;
	struct seen          seen;
	struct rt_text       instruction;
	struct word         *words; /* scratch */
	struct rt_json     **rows;  /* examples */
	int64_t              n_rows, cap_rows, excluded_examples;
	struct rt_rows_out  *out;
	int64_t              fates[FATES], asked, failed, empty, input_tokens, output_tokens;
	/* the requests that go out, and the row that the reply in hand belongs to */
	struct rt_teacher_request *requests;
	char (*ids)[24];
	int64_t               filled;
	const struct rt_json *of;
};

/* write-request.c: examples and what is excluded, read; requests [first, last), asked. */
int                   write_read_data(struct job *j, struct rt_error *err);
const struct rt_json *write_example_of(const struct job *j, int64_t q);
void                  write_id_of(int64_t q, char id[24]);
void                  write_empty_batch(struct job *j);
int write_requests(struct job *j, int64_t first, int64_t last, struct rt_error *err);

#endif
