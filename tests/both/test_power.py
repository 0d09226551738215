"""Every decision about power, over tables that hold all combinations."""

from app import power

BOOLS = (False, True)


def test_the_way_of_life_over_all_combinations():
    n = 0
    for sleep in power.SLEEPS:
        for interval_s in (0, 1, 60, 86400):
            for can_light in BOOLS:
                for can_deep in BOOLS:
                    for pays in BOOLS:
                        got = power.mode(sleep, interval_s, can_light, can_deep, pays)
                        assert got == _mode(sleep, interval_s, can_light, can_deep, pays)
                        n += 1
    assert n == 4 * 4 * 8


def _mode(sleep, interval_s, can_light, can_deep, pays):
    """The same as a list of rules: the first that matches counts."""
    rules = (
        (sleep == "never", power.AWAKE),
        (interval_s == 0 and not can_light, power.AWAKE),
        (interval_s == 0, power.NAPS),
        (sleep == "light", power.CYCLE_LIGHT),
        (sleep == "deep" and can_deep, power.CYCLE_DEEP),
        (sleep == "auto" and can_deep and not can_light, power.CYCLE_DEEP),
        (sleep == "auto" and can_deep and pays, power.CYCLE_DEEP),
        (True, power.CYCLE_LIGHT),
    )
    for matches, mode in rules:
        if matches:
            return mode
    raise AssertionError


def test_continuous_sensing_never_sleeps_deep():
    for sleep in power.SLEEPS:
        for can_light in BOOLS:
            assert power.mode(sleep, 0, can_light, True, True) in (power.AWAKE, power.NAPS)


def test_deep_sleep_has_to_earn_its_boot():
    # ESP32-S3: 232 uA less, and 41.9 mC for a boot of the stock image, 1.82 mC for a frozen one.
    for interval_s, boot_uc, pays in (
        (60, 41900, False),
        (180, 41900, False),
        (181, 41900, True),
        (7, 1820, False),
        (8, 1820, True),
    ):
        assert power.does_deep_pay(interval_s, 240, 8, boot_uc) == pays, (interval_s, boot_uc)
    assert not power.does_deep_pay(86400, 1290, 1290, 0), "RP2040: deep sleep saves nothing"
    assert power.does_deep_pay(1, 0, 8, 41900), "without figures the configuration decides"
    assert power.does_deep_pay(1, 240, 0, 41900)


def test_a_spent_budget_ends_everything():
    for awake_ms, budget_ms in ((0, 1), (999, 1000), (1000, 1000), (5000, 1000), (1000, 1001)):
        for windows_left in (-1, 0, 1, 60):
            for wants in BOOLS:
                got = power.next_action(awake_ms, budget_ms, windows_left, wants)
                if awake_ms >= budget_ms:
                    assert got == power.SLEEP
                elif windows_left > 0:
                    assert got == power.SENSE
                else:
                    assert got == (power.DELIVER if wants else power.SLEEP)


def test_the_radio_stays_off_without_a_reason():
    for n_queued in (0, 1, 4096):
        for due in BOOLS:
            for wait_s in (-1, 0, 1, 3600):
                wants = power.wants_link(n_queued, due, wait_s)
                assert wants == (wait_s < 1 and (n_queued > 0 or due))


def test_a_link_ends_when_it_is_done_or_too_long():
    for open_ms in (0, 999, 1000, 1001):
        for done in BOOLS:
            for n_failures in (0, 1, 2, 3):
                keeps = power.keeps_link(open_ms, 1000, done, n_failures)
                assert keeps == (not done and open_ms < 1000 and n_failures < 2)


def test_pauses_of_the_radio_grow_up_to_an_hour():
    for interval_s in (0, 1, 60, 600, 7200):
        assert power.link_pause_s(0, interval_s, 255) == 0
        before = 0
        for failures in range(1, 300):
            longest = power.link_pause_s(failures, interval_s, 255)
            shortest = power.link_pause_s(failures, interval_s, 0)
            assert longest >= before
            assert shortest * 2 <= max(3600, interval_s) and longest <= max(3600, interval_s)
            assert longest >= shortest >= min(60, max(60, interval_s)) // 2
            before = longest
        assert before > max(3600, interval_s) * 9 // 10
    seen = [power.link_pause_s(n, 60, 0) for n in (1, 2, 3, 4, 5, 6, 7, 8)]
    assert seen == [30, 60, 120, 240, 480, 960, 1800, 1800]


def test_wakes_keep_their_interval():
    for interval_ms, awake_ms, expected in (
        (60000, 0, 60000),
        (60000, 2300, 57700),
        (60000, 59000, 1000),
        (60000, 59001, 1000),
        (60000, 600000, 1000),
        (1000, 0, 1000),
    ):
        assert power.sleep_ms(interval_ms, awake_ms) == expected


def test_records_go_to_flash_before_they_are_too_old_or_too_many():
    for n_unsaved in (0, 1, 32, 33):
        for age_ms in (0, 59999, 60000):
            for next_ms in (0, 1, 60000):
                got = power.must_save(n_unsaved, age_ms, next_ms, 60000, 32)
                late = age_ms + next_ms >= 60000
                assert got == (n_unsaved > 0 and (late or n_unsaved > 32))


def test_a_low_supply_keeps_the_flash_alone():
    for supply_mv in (-1, 0, 2999, 3000, 3001, 5000):
        for limit_mv in (0, 3000):
            expected = limit_mv == 0 or supply_mv == -1 or supply_mv >= limit_mv
            assert power.may_write(supply_mv, limit_mv) == expected


def test_only_a_loop_that_gets_on_feeds_the_watchdog():
    for progressed in BOOLS:
        for quiet_ms in (0, 9999, 10000, 10001, 1 << 29):
            expected = progressed or quiet_ms < 10000
            assert power.may_feed(progressed, quiet_ms, 10000) == expected


def test_boots_are_counted_until_one_lasts():
    for cause in power.CAUSES:
        for before in (0, 1, 2, 3, 254, 255):
            after = power.count_start(cause, before)
            assert after == (0 if cause == "deep_sleep" else min(before + 1, 255))


def test_the_window_of_a_safe_boot():
    for cause in power.CAUSES:
        for early in (0, 1, 2, 3, 4, 255):
            for configured_ms in (0, 500, 2000, 60000):
                got = power.safe_boot_ms(cause, early, configured_ms)
                if cause == "deep_sleep":
                    assert got == 0, "a node on battery wakes too often to wait"
                elif early < 3:
                    assert got == configured_ms
                else:
                    assert 10000 <= got <= 60000 and got >= configured_ms, "a loop can be stopped"
    assert power.safe_boot_ms("watchdog", 3, 2000) == 20000


def test_a_boot_lasts_after_a_minute():
    for up_ms in (0, 59999, 60000, 1 << 29):
        assert power.has_lasted(up_ms) == (up_ms >= 60000)


def test_deep_sleep_takes_no_record_along_that_nobody_keeps():
    for kept in BOOLS:
        for n_unsaved in (0, 1, 32):
            for can_light in BOOLS:
                deep = power.keeps_state(kept, n_unsaved, can_light)
                assert deep == (kept or (n_unsaved == 0 and not can_light))


def test_numbers_go_on_only_over_an_unbroken_sleep():
    allowed = 0
    for cause in power.CAUSES:
        for asleep in BOOLS:
            for epoch in (0, 1, 7, 65535):
                for flash_epoch in (0, 1, 7, 65535):
                    got = power.may_resume(cause, asleep, epoch, flash_epoch)
                    expected = (
                        cause == "deep_sleep" and asleep and epoch == flash_epoch and epoch > 0
                    )
                    assert got == expected
                    allowed += got
    assert allowed == 3


def test_the_radio_outweighs_all_else():
    for linking in BOOLS:
        for linked in BOOLS:
            for asleep in BOOLS:
                got = power.PHASES[power.phase(linking, linked, asleep)]
                if linked:
                    assert got == "radio"
                elif linking:
                    assert got == "connect"
                else:
                    assert got == ("sleep" if asleep else "active")
