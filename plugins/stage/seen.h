/* seen.h - texts that were seen: is another one the same as one of them, or nearly?
 *
 * Same    equal after ASCII letters are made small, blanks at the ends are dropped, and each run of
 *         them is one space.
 * Near    the resemblance of Broder (1997): sets of `shingle` words in a row, those in both over
 *         those in either, at least `near`.  It is computed, not estimated.  Which texts can be
 * that near is found by prefix filtering (Chaudhuri 2006; Bayardo 2007): both must have one of
 *         their first n - ceil(near n) + 1 shingles in common, in an order that is the same for
 * all.
 *
 * A text with fewer words than a shingle has is one shingle; one without words is near none. */
#ifndef STAGE_SEEN_H
#define STAGE_SEEN_H

#include <retort/error.h>
#include <retort/text.h>

#include <stdint.h>

struct seen_text;
struct seen_place;
struct word;

struct seen {
	int64_t            shingle;
	double             near;
	struct seen_text  *texts;
	struct seen_place *places; /* of a key in texts, chained by bucket */
	int64_t           *buckets;
	int64_t            n_texts, cap_texts, n_places, cap_places, n_buckets;
	/* of the text that is looked at */
	struct rt_text normal;
	struct word   *words;
	uint64_t      *keys; /* of its shingles, ascending, each once */
	int64_t        n_keys;
};

enum seen_how { SEEN_NEW, SEEN_SAME, SEEN_NEAR };

/* s is zeroed; close is fine after an open that failed. */
int  seen_open(struct seen *s, int64_t shingle, double near, struct rt_error *err);
void seen_close(struct seen *s);

/* *ret_tag: the largest tag among those it is the same as, or else near. */
int seen_look(struct seen *s, const char *text, enum seen_how *ret, int *ret_tag,
              struct rt_error *err);
int seen_add(struct seen *s, const char *text, int tag, struct rt_error *err);

/* The form in which same texts are equal bytes; good until the next call. */
const char *seen_normal(const struct seen *s);

#endif
