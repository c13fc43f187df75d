import Kernel
import Testing

@Suite struct ClockJumpTests {
    @Test(arguments: [(45, true), (-45, true), (30, false), (-30, false), (2, false)] as [(Int64, Bool)])
    func `a clock that is set by more than half a minute has jumped, once`(seconds: Int64, isJump: Bool) {
        let wall = ManualClock(Instant(microseconds: 1_000_000_000))
        let steady = ManualClock(Instant(microseconds: 0))
        var jumps = ClockJumps(wall: wall.clock, steady: steady.clock)
        wall.advance(.seconds(3600))
        steady.advance(.seconds(3600))
        #expect(jumps.look() == nil)
        wall.advance(.seconds(seconds + 1))
        steady.advance(.seconds(1))
        #expect(jumps.look() == (isJump ? .seconds(seconds) : nil))
        wall.advance(.seconds(1))
        steady.advance(.seconds(1))
        #expect(jumps.look() == nil)
    }

    @Test func `many small steps are a jump, and a clock that is slewed is none`() {
        let wall = ManualClock(Instant(microseconds: 1_000_000_000))
        let steady = ManualClock(Instant(microseconds: 0))
        var jumps = ClockJumps(wall: wall.clock, steady: steady.clock)
        // A minute in all, as NTP does it.
        for _ in 0..<2000 {
            wall.advance(.seconds(60) + .milliseconds(30))
            steady.advance(.seconds(60))
            #expect(jumps.look() == nil)
        }
        for step in 1...2 {
            wall.advance(.seconds(21))
            steady.advance(.seconds(1))
            let jump = jumps.look()
            #expect((jump == nil) == (step == 1))
        }
        wall.advance(.seconds(1))
        steady.advance(.seconds(1))
        #expect(jumps.look() == nil)
    }

    /// What another process kept an hour ago.
    @Test(
        arguments: [(90_000, true), (-90_000, true), (31, true), (-31, true), (28, false), (-28, false)]
            as [(Int64, Bool)])
    func `what was set while nobody looked is told by a mark that was kept`(seconds: Int64, isJump: Bool) {
        let wall = ManualClock(Instant(microseconds: 1_000_000_000))
        let steady = ManualClock(Instant(microseconds: 5_000_000))
        let kept = ClockJumps(wall: wall.clock, steady: steady.clock).mark
        #expect(kept.seenAt == wall.clock.now)
        steady.advance(.hours(1))
        wall.advance(.hours(1) + .seconds(seconds))
        var jumps = ClockJumps(from: kept, wall: wall.clock, steady: steady.clock)
        #expect(jumps.look() == (isJump ? .seconds(seconds) : nil))
        #expect(jumps.look() == nil)
        // Where it stands is what the next one goes on from.
        var next = ClockJumps(from: jumps.mark, wall: wall.clock, steady: steady.clock)
        #expect(next.look() == nil)
    }

    @Test func `however long nobody looked, a clock that was set does not pass for one that was slewed`() {
        let wall = ManualClock(Instant(microseconds: 1_000_000_000))
        let steady = ManualClock(Instant(microseconds: 0))
        let kept = ClockJumps(wall: wall.clock, steady: steady.clock).mark
        steady.advance(.days(30))
        wall.advance(.days(30) + .minutes(5))
        var jumps = ClockJumps(from: kept, wall: wall.clock, steady: steady.clock)
        #expect(jumps.look() == .minutes(5))
    }

    @Test func `after the machine was started again only what was set back is known`() {
        let seen = Instant(microseconds: 1_000_000_000)
        #expect(ClockJumps.back(from: seen, to: seen - .seconds(31)) == .seconds(-31))
        #expect(ClockJumps.back(from: seen, to: seen - .seconds(30)) == nil)
        #expect(ClockJumps.back(from: seen, to: seen + .days(1)) == nil)
    }

    @Test func `a machine tells its starts apart`() {
        #expect(Clock.boot?.isEmpty == false)
    }

    @Test func `patience ends`() async {
        let never = await answer(within: .milliseconds(50)) {
            try? await Task.sleep(for: .seconds(60))
            return 1
        }
        #expect(never == nil)
        #expect(await answer(within: .seconds(60)) { 2 } == 2)
    }
}
