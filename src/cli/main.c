/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayctl: finds the command, everything else is the command's. The program
 * itself is in cli_main(), so that tests can run it.
 */
#include "cli.h"

int main(int argc, char **argv)
{
    return cli_main((const char *const *)(argc > 0 ? argv + 1 : argv));
}
