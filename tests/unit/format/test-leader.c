/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * sanlock's first sectors, as "sanlock direct init" of 3.8.5 wrote them.
 */
#include <dray/format.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SD "b7427472-08dc-4059-822c-5db507ad80a9"

static void put(unsigned char *p, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        p[i] = (unsigned char)(value >> (8 * i));
}

/* init -s SD:0:ids:0 -Z 512 -A 1M -o 10 */
static void lockspace(unsigned char sector[FORMAT_LEADER_SIZE])
{
    memset(sector, 0, FORMAT_LEADER_SIZE);
    put(sector, 0x12212010, 4);
    put(sector + 4, 0x00030004, 4);
    put(sector + 8, 0x10, 4);
    put(sector + 12, 512, 4);
    put(sector + 24, 1, 8);
    memcpy(sector + 56, SD, 36);
    put(sector + 168, 0x9fe63812, 4);
    put(sector + 174, 10, 2);
}

/* init -r SD:SDM:leases:1048576 -Z 512 -A 1M */
static void resource(unsigned char sector[FORMAT_LEADER_SIZE])
{
    memset(sector, 0, FORMAT_LEADER_SIZE);
    put(sector, 0x06152010, 4);
    put(sector + 4, 0x00060004, 4);
    put(sector + 8, 0x10, 4);
    put(sector + 12, 512, 4);
    put(sector + 16, 2000, 8);
    put(sector + 24, 2000, 8);
    memcpy(sector + 56, SD, 36);
    memcpy(sector + 104, "SDM", 3);
    put(sector + 168, 0xaf984574, 4);
}

static void reads_a_lockspace(void **state)
{
    (void)state;
    unsigned char sector[FORMAT_LEADER_SIZE];
    struct format_leader leader;
    lockspace(sector);
    assert_int_equal(format_leader_parse(sector, sizeof(sector), &leader, NULL),
                     0);
    assert_int_equal(leader.kind, FORMAT_LEADER_LOCKSPACE);
    assert_int_equal(leader.sector_size, 512);
    assert_int_equal(leader.alignment, 1024 * 1024);
    assert_string_equal(leader.lockspace, SD);
    assert_int_equal(leader.io_timeout_s, 10);
    assert_int_equal(leader.timestamp, 0);
}

static void reads_a_resource(void **state)
{
    (void)state;
    unsigned char sector[FORMAT_LEADER_SIZE];
    struct format_leader leader;
    resource(sector);
    assert_int_equal(format_leader_parse(sector, sizeof(sector), &leader, NULL),
                     0);
    assert_int_equal(leader.kind, FORMAT_LEADER_RESOURCE);
    assert_string_equal(leader.resource, "SDM");
    assert_int_equal(leader.max_hosts, 2000);
    assert_int_equal(leader.owner_id, 0);
    assert_int_equal(leader.version, 0);
}

static void every_changed_byte_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < 172; i++) {
        unsigned char sector[FORMAT_LEADER_SIZE];
        struct format_leader leader;
        struct err err = ERR_INIT;
        resource(sector);
        sector[i] ^= 0x01;
        assert_true(format_leader_parse(sector, sizeof(sector), &leader, &err) <
                    0);
        assert_int_equal(err.code, ERR_METADATA_VALIDATION);
    }
}

static void refuses_less_than_a_sector(void **state)
{
    (void)state;
    unsigned char sector[FORMAT_LEADER_SIZE];
    struct format_leader leader;
    resource(sector);
    for (size_t size = 0; size < sizeof(sector); size++)
        assert_true(format_leader_parse(sector, size, &leader, NULL) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_lockspace),
        cmocka_unit_test(reads_a_resource),
        cmocka_unit_test(every_changed_byte_is_found),
        cmocka_unit_test(refuses_less_than_a_sector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
