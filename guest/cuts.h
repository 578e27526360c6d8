/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What cuts.S and cuts.c share: what an instruction of a sequence counts as.
 */
#ifndef CUTS_H
#define CUTS_H

#define BRANCH      0x01
#define CONDITIONAL 0x02
#define CALL        0x04
#define RETURN      0x08
#define LOAD        0x10
#define STORE       0x20
#define NEVER       0x40 /* it faults, and the handler goes on behind it */

/* Where an instruction stands: the turns that are left are in R8D. */
#define BEFORE_TURNS    0
#define IN_TURN         1
#define BEHIND_DECREASE 2
#define BEHIND_TURNS    3

#endif
