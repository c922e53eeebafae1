/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What to do about an error whose finder did not say: those who know only a
 * volume or a file leave that to us. No error that a person can do something
 * about reaches them without a next step.
 */
#include "verb.h"

static const struct {
    enum err_code code;
    const char *next;
} advice[] = {
    {ERR_NO_DOMAIN,          "see which there are: drayctl domain list"               },
    { ERR_NO_JOB,            "see which there are: drayctl job list"                  },
    { ERR_NO_IMAGE,          "see which there are: drayctl volume list DOMAIN"        },
    { ERR_NO_VOLUME,         "see which there are: drayctl volume list DOMAIN IMAGE"  },
    { ERR_VOLUME_EXISTS,     "use another UUID, or delete what is there"              },
    { ERR_VOLUME_CHILDREN,
     "begin above: drayctl volume list DOMAIN IMAGE shows the chain"                  },
    { ERR_VOLUME_ILLEGAL,
     "copy its data again, or say that it is complete: Volume.setLegality"            },
    { ERR_SNAPSHOT_ILLEGAL,
     "copy its data again, or say that it is complete: Volume.setLegality"            },
    { ERR_VOLUME_RESIZE,
     "name a larger size: drayctl volume info shows what it has"                      },
    { ERR_VOLUME_EXTEND,     "mend the cause, then try again"                         },
    { ERR_IMAGE_CHAIN,       "see what does not fit: drayctl domain audit DOMAIN"     },
    { ERR_NO_SPACE,          "free space there, or name another domain"               },
    { ERR_SOURCE_IMAGE,
     "look at the source: drayctl volume list DOMAIN IMAGE"                           },
    { ERR_DESTINATION_IMAGE,
     "make the same volumes there first: Image.cloneStructure"                        },
    { ERR_REPLICA,           "make the same volumes there first: Image.cloneStructure"},
    { ERR_VALUE,             "rpc.discover describes what is expected"                },
};

void call_advise(struct api_call *call)
{
    for (size_t i = 0; i < ARRAY_SIZE(advice); i++) {
        if (advice[i].code == call->err.code)
            (void)err_next(&call->err, "%s", advice[i].next);
    }
}
