import Kernel

/// Finds out whether the clock that the database goes by was set, by what servers kept of it: also while none of them ran, as far
/// as a machine allows (spec: access §5).
///
///     the same start of this machine   its clock, or the one of the database, set forward or back
///     another start                    set back, behind what was seen before it
///
/// Every server on a machine shares a row. Whoever notices a jump moves all rows by it, so that it is told once. A machine that was
/// paused finds the clock ahead as well, and the others saw the time that it missed: it goes on from where the clock stands.
public enum ClockMarks {
    /// How often a mark is kept: well below what is tolerated, so that it tells a clock that was set from a machine that was paused.
    public static let every = Span.seconds(10)
    /// How long one of a machine that is gone is kept.
    static let kept = Span.days(90)
    /// What a mark is kept by where the system does not tell its starts apart: it says only what was seen.
    private static let noBoot = "unknown"

    /// What was kept.
    private struct Known: Sendable {
        let boot: String?
        /// Of this start of the machine.
        let own: ClockMark?
        let latest: Instant?
        /// The latest that other machines saw.
        let others: Instant?

        init(_ boot: String?, from reader: any Reader) throws {
            let own = boot ?? ""
            let rows = try reader.query([
                ClockMarkQueries.own(own), ClockMarkQueries.latest, ClockMarkQueries.others(than: own),
            ])
            self.boot = boot
            self.own = try rows[0].first.map { row in
                ClockMark(
                    offset: Span(microseconds: try row.int("ahead")),
                    lookedAt: Instant(microseconds: try row.int("steady_at")))
            }
            latest = try rows[1].first?.optionalInstant("seen_at")
            others = try rows[2].first?.optionalInstant("seen_at")
        }

        /// How far the clock was set since, and what is to be kept of it where it was not.
        /// - Parameters:
        ///   - now: what the clock says at some moment between two looks at the steady one: an answer may take its time.
        ///   - before: the first of them.
        func look(_ now: Instant, between before: Instant, and after: Instant) -> (jump: Span?, mark: ClockMark) {
            guard let own else {
                let mark = ClockMark(offset: now - after, lookedAt: after)
                return (latest.flatMap { ClockJumps.back(from: $0, to: now) }, mark)
            }
            func looked(at steady: Instant) -> (jump: Span?, mark: ClockMark) {
                var jumps = ClockJumps(from: own, wall: Clock { now }, steady: Clock { steady })
                let jump = jumps.look()
                return (jump, jumps.mark)
            }
            let (first, last) = (looked(at: before), looked(at: after))
            guard let early = first.jump else { return (nil, first.mark) }
            guard let late = last.jump else { return (nil, last.mark) }
            // It took longer than anything could be told by.
            guard (early.microseconds < 0) == (late.microseconds < 0) else { return (nil, own) }
            let found = abs(early.microseconds) < abs(late.microseconds) ? first : last
            guard let jump = found.jump, stoodStill(now, ahead: jump) else { return found }
            return (nil, found.mark)
        }

        /// Whether this machine was paused rather than the clock set forward: others then saw a good deal of the time that it missed,
        /// and did so lately. Nobody sees what a clock skipped.
        private func stoodStill(_ now: Instant, ahead jump: Span) -> Bool {
            guard let others, jump.microseconds > 0 else { return false }
            let missed = jump.microseconds - ClockMarks.every.microseconds
            // What was stepped within what is tolerated the machines follow slowly.
            let lately = (ClockJumps.tolerated + ClockMarks.every).microseconds
            return (now - others).microseconds < min(missed, lately)
        }

        /// Whether it is time to keep a mark again.
        func isDue(_ mark: ClockMark, at now: Instant) -> Bool {
            if let own {
                // Of a machine that was paused it is put right at once.
                let moved = abs(mark.offset.microseconds - own.offset.microseconds)
                return mark.lookedAt - own.lookedAt >= ClockMarks.every || moved > ClockJumps.tolerated.microseconds
            }
            return boot != nil || latest.map { now - $0 >= ClockMarks.every } ?? true
        }
    }

    /// Compares the clock of the database with what was kept of it, tells of a jump, and keeps where it stands now and then.
    /// - Parameters:
    ///   - boot: which start of this machine it is.
    ///   - steady: the time since then.
    ///   - sendsMail: whether mail is sent.
    /// - Returns: what was noticed, and the id of what is to be looked at; `nil` when nothing was.
    public static func look(
        boot: String? = Clock.boot, steady: Clock = .steady, in database: any Database, _ records: any Records,
        sendsMail: Bool
    ) async throws -> (jump: Span, id: String)? {
        let asked = steady.now
        let isQuiet = try await database.read { reader -> Bool in
            let known = try Known(boot, from: reader)
            let now = reader.now
            let (jump, mark) = known.look(now, between: asked, and: steady.now)
            return jump == nil && !known.isDue(mark, at: now)
        }
        guard !isQuiet else { return nil }
        let before = steady.now
        return try await database.write { tx -> (jump: Span, id: String)? in
            try tx.lock([ClockJump.lock])
            let known = try Known(boot, from: tx)
            let now = tx.now
            let (jump, mark) = known.look(now, between: before, and: steady.now)
            var told: (jump: Span, id: String)?
            if let jump { told = (jump, try ClockJump.record(jump, records, sendsMail: sendsMail, tx)) }
            // What is told moves every row there is.
            if jump == nil || known.own == nil { keep(mark, boot, at: now, tx) }
            return told
        }
    }

    /// Keeps where the clock stands, for whoever starts next.
    public static func keep(
        _ mark: ClockMark, boot: String? = Clock.boot, in database: any Database
    ) async throws {
        try await database.write { tx in
            try tx.lock([ClockJump.lock])
            keep(mark, boot, at: mark.seenAt, tx)
        }
    }

    private static func keep(_ mark: ClockMark, _ boot: String?, at now: Instant, _ tx: any Writer) {
        tx.enqueue(ClockMarkQueries.keep(mark, of: boot ?? noBoot))
        tx.enqueue(ClockMarkQueries.forget(seenBefore: now - kept))
    }
}
