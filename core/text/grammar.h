/* grammar.h - the nodes of a grammar, and the state of an answer that goes through them.
 *
 * A grammar is a graph: a node for each value that a schema describes, which may refer to itself.
 * An answer is a stack of frames, one for each value that is open.  Where a schema leaves several
 * forms (anyOf, several types), there is a thread for each that still fits. */
#ifndef TEXT_GRAMMAR_H
#define TEXT_GRAMMAR_H

#include <retort/grammar.h>
#include <retort/memory.h>

#include <stdint.h>

enum {
	GRAMMAR_KEYS = 128, /* properties of one object */
	GRAMMAR_FREE = 16,  /* keys of an object whose properties are not known */
	GRAMMAR_DEPTH = 34, /* 32 values, the call, and the answer around it */
	GRAMMAR_THREADS = 32,
	GRAMMAR_INDENT = 32
};

enum grammar_kind {
	GRAMMAR_ANY_OF,
	GRAMMAR_OBJECT, /* words: its keys; of: their values */
	GRAMMAR_OPEN,   /* an object of any keys; of[0]: their values */
	GRAMMAR_ARRAY,  /* of[0]: its items */
	GRAMMAR_STRING,
	GRAMMAR_NUMBER,
	GRAMMAR_WORDS, /* one of some literals: enum, true, false, null */
	GRAMMAR_CALL,  /* words: names of tools; of: their arguments */
	GRAMMAR_CALLS, /* an answer with calls; of[0] is one */
	GRAMMAR_WHOLE  /* an answer that is of[0] */
};

struct grammar_word {
	const char *text; /* as JSON spells it */
	size_t      n;
};

struct grammar_node {
	enum grammar_kind     kind;
	struct grammar_node **of;
	struct grammar_word  *words; /* in the order of their bytes */
	size_t                n;     /* of `of`, of `words` */
	uint64_t              required[GRAMMAR_KEYS / 64];
	uint32_t              least, most; /* characters, items */
	bool                  integer, limited;
	bool                  above, below; /* whether the limits themselves are excluded */
	double                low, high;
	bool                  calls_only, no_calls; /* of GRAMMAR_CALLS */
	int                   height; /* values that are open at once, at least, to write one */
	uint32_t              stamp;  /* while the grammar is made */
	struct grammar_node  *next;   /* of all of the grammar */
};

struct rt_grammar {
	struct rt_arena      room;
	struct grammar_node *top, *all;
};

struct grammar_frame {
	const struct grammar_node *node;
	uint8_t                    phase;
	uint8_t                    need, low, high; /* bytes of a character that are to come */
	uint16_t                   first, last;     /* words that still fit; then `first` is it */
	uint32_t                   at;              /* bytes of a word, characters, items, digits */
	uint32_t                   mark;            /* see the kinds */
	uint64_t foreign; /* bytes of MARK_FOREIGN that stand in front; no padding, for memcmp() */
	union {
		uint64_t seen[GRAMMAR_KEYS / 64];
		uint32_t keys[GRAMMAR_FREE]; /* their hashes */
		int64_t  digits;             /* of a number, as an integer */
	};
};

struct grammar_thread {
	int                  depth, blanks;
	struct grammar_frame f[GRAMMAR_DEPTH];
};

/* One more byte of a number; false: it does not belong to it.  Phase 0 is in front of it. */
bool number_put(struct grammar_frame *f, unsigned char c);
/* Is there any within the limits that has few enough digits? */
bool number_exists(const struct grammar_node *n);
/* Is it one, as it stands? */
bool number_whole(const struct grammar_frame *f);

#endif
