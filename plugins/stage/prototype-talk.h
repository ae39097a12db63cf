/* prototype-talk.h - one row's conversation with a teacher that may call functions.
 *
 *     talk_begin -> ( talk_reply )* until ended -> talk_row
 *
 * A reply's calls are held against the tools; those that fit are made, and what came back follows
 * as messages of the role "tool".  A call that does not fit is answered with { "error": why }, and
 * the teacher may repair it.  A call of a function that nobody serves is the answer itself: then
 * the conversation ends with it. */
#ifndef STAGE_PROTOTYPE_TALK_H
#define STAGE_PROTOTYPE_TALK_H

#include "ask.h"

#include <retort/plugin.h>

enum talk_end {
	TALK_ON,
	TALK_ANSWERED,  /* with text */
	TALK_CALLED,    /* with calls that nobody serves */
	TALK_TURNS,     /* no answer within max_turns */
	TALK_REPAIRS,   /* more wrong calls than max_repairs allows */
	TALK_CUT,       /* a reply that was cut off at max_tokens, or withheld */
	TALK_EMPTY,     /* a reply with neither text nor calls */
	TALK_UNANSWERED /* the teacher failed */
};

/* What all conversations share. */
struct talk_rules {
	const struct rt_components *functions;
	struct ask_journal         *journal; /* of results, too */
	struct rt_context          *context;
	int64_t                     max_turns, max_repairs;
};

struct talk {
	struct rt_json       *row, *messages;
	const struct rt_json *tools; /* lent; NULL: none */
	const char           *id;    /* the row's */
	size_t                prompt;
	enum talk_end         end;
	int64_t          turns, repairs, calls, wrong, errors; /* errors: results that are one */
	struct ask_usage usage;
};

/* Takes the row over. */
int  talk_begin(struct talk *t, struct rt_json *row, const struct ask_files *files,
                struct rt_error *err);
void talk_fini(struct talk *t);

/* Under which the reply to the next turn is kept in the journal. */
void talk_key(const struct talk *t, struct rt_text *out);

/* A reply has come: take it into the conversation, make its calls. */
int talk_reply(struct talk *t, const struct talk_rules *rules, const struct rt_json *reply,
               struct rt_error *err);

/* The row with its conversation, and what it took, in meta.prototype. */
int talk_row(struct talk *t, struct rt_error *err);

const char *talk_end_name(enum talk_end end);

/* The component that serves a function, or NULL. */
const struct rt_component *talk_server(const struct rt_components *functions, const char *name);

#endif
