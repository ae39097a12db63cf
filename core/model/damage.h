/* damage.h - what is said of a file of weights that does not hold what it promises: most often a
 * download that was interrupted. */
#ifndef MODEL_DAMAGE_H
#define MODEL_DAMAGE_H

#define CUT_SHORT "; it is cut short or damaged: get it again"

#endif
