import Foundation
import Kernel
import Store
import TestSupport
import Testing

@Suite struct `Exports` {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `a full export verifies with nothing but the key`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(5)
            let older = try #require(try await log.published.checkpoint())
            try await log.record(2300)
            try await log.sequencer.turn()
            let path = try await log.export()
            let report = try OfflineVerifier.verify(path: path, key: log.key.verifier, against: [older])
            #expect(report.isClean, "\(report.findings)")
            #expect(report.eventsChecked == 2305 && report.size == 2305 && report.checkpointsChecked == 2)
            let note = log.folder + "/older.note"
            try older.write(toFile: note, atomically: true, encoding: .utf8)
            let script = try Shell.run(
                "python3", [Shell.script("verify_export.py"), path, log.key.verifier.text, note])
            #expect(script.status == 0, "\(script.output)")
            let stranger = try LogKey.generate(name: LogFixture.origin)
            let other = try OfflineVerifier.verify(path: path, key: stranger.verifier)
            #expect(other.kinds == [.checkpointReplaced])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a filtered export carries the proof of every event`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(1500)
            var filter = EventFilter()
            filter.action = "role.create"
            let one = try OfflineVerifier.verify(path: try await log.export(filter), key: log.key.verifier)
            #expect(one.isClean && one.eventsChecked == 1, "\(one.findings)")
            filter = EventFilter()
            filter.tenant = "ten_1"
            let path = try await log.export(filter)
            let all = try OfflineVerifier.verify(path: path, key: log.key.verifier)
            #expect(all.isClean && all.eventsChecked == 1500, "\(all.findings)")
            let script = try Shell.run("python3", [Shell.script("verify_export.py"), path, log.key.verifier.text])
            #expect(script.status == 0, "\(script.output)")
            filter.tenant = "ten_2"
            let none = try OfflineVerifier.verify(path: try await log.export(filter), key: log.key.verifier)
            #expect(none.isClean && none.eventsChecked == 0)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `several filters leave what matches all of them, also beyond what one portion looks at`(
        kind: TestDatabase.Kind
    ) async throws {
        try await LogFixture.with(kind) { log in
            // What is rare lies at both ends.
            var filter = EventFilter()
            filter.tenant = "ten_1"
            filter.outcome = .denied
            let rare = [-1, 1].map { (side: Int64) in
                var draft = EventDraft(
                    at: TestDatabase.start + .hours(side), .mutation, "test.happened", .denied,
                    actor: Actor(.staff, "stf_1"))
                draft.tenant = "ten_1"
                return SealedEvent(draft)
            }
            let records = log.records
            try await log.database.write { writer in for event in rare { writer.enqueue(records.insert(event)) } }
            try await log.record(EventFilter.Walk.window + 20)
            try await log.sequencer.turn()
            let few = try OfflineVerifier.verify(path: try await log.export(filter), key: log.key.verifier)
            #expect(few.isClean && few.eventsChecked == 2, "\(few.findings) \(few.eventsChecked)")
            filter.outcome = .applied
            let most = try OfflineVerifier.verify(path: try await log.export(filter), key: log.key.verifier)
            #expect(most.isClean && most.eventsChecked == EventFilter.Walk.window + 20, "\(most.findings)")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `long entries go out in small portions, and nothing is lost between them`(
        kind: TestDatabase.Kind
    ) async throws {
        try await LogFixture.with(kind) { log in
            try await log.record(520)
            for number in 0..<2 {
                var draft = LogFixture.draft()
                draft.sealed["details"] = .init(
                    .string(String(repeating: "\(number)", count: 3 << 20)), subjects: ["usr_1"])
                let event = SealedEvent(draft)
                let records = log.records
                try await log.database.write { $0.enqueue(records.insert(event)) }
            }
            try await log.record(520)
            try await log.sequencer.turn()
            var filter = EventFilter()
            filter.tenant = "ten_1"
            for path in [try await log.export(), try await log.export(filter)] {
                let report = try OfflineVerifier.verify(path: path, key: log.key.verifier)
                #expect(report.isClean && report.eventsChecked == 1042, "\(report.findings)")
                #expect(report.valuesChecked == 1042 * 2 + 2)
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the table of an export says what its lines prove`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(300)
            var draft = LogFixture.draft()
            draft.reasonCode = "abuse"
            draft.facts = ["count": 3, "words": ["a", "b"]]
            draft.sealed["justification"] = .init("=cmd|' /C calc'!A0, \"she\" said\r\nשלום 😀", subjects: ["usr_1"])
            let event = SealedEvent(draft)
            let records = log.records
            try await log.database.write { $0.enqueue(records.insert(event)) }
            try await log.sequencer.turn()
            var filter = EventFilter()
            filter.actor = "stf_1"
            for filter in [EventFilter(), filter] {
                let lines = try await log.export(filter)
                let table = try await log.export(filter, as: .csv)
                let script = try Shell.run(
                    "python3",
                    [Shell.script("verify_export.py"), "--csv", table, lines, log.key.verifier.text])
                #expect(script.status == 0 && script.output.contains("the table says the same"), "\(script.output)")
                let text = try String(contentsOfFile: table, encoding: .utf8)
                #expect(
                    text.hasPrefix("index,id,at,class,action,outcome,actor_type,actor_id,") && text.hasSuffix("\r\n"))
                #expect(text.contains("\"'=cmd|' /C calc'!A0, \"\"she\"\" said\r\nשלום 😀\""))
                // The records that are made of the lines, as on another machine, are the same.
                var made: [UInt8] = []
                CSV.append(header: EventCSV.names, to: &made)
                for line in try String(contentsOfFile: lines, encoding: .utf8).split(separator: "\n") {
                    made += try EventCSV.record(ofLine: Array(line.utf8)) ?? []
                }
                #expect(String(decoding: made, as: UTF8.self) == text)
                // What is changed in the table is found.
                for (old, new) in [("abuse", "other"), ("203.0.113.7", "203.0.113.8"), ("\r\n7,", "\r\n8,")] {
                    let changed = table + ".changed"
                    guard let place = text.range(of: old) else {
                        Issue.record("\(old) is not in the table")
                        continue
                    }
                    try text.replacingCharacters(in: place, with: new)
                        .write(toFile: changed, atomically: true, encoding: .utf8)
                    let found = try Shell.run(
                        "python3",
                        [Shell.script("verify_export.py"), "--csv", changed, lines, log.key.verifier.text])
                    #expect(found.status == 1 && found.output.contains("the table says something else"))
                }
            }
        }
    }

    @Test func `what is changed in an export is found`() async throws {
        try await LogFixture.with(.sqlite) { log in
            _ = try await log.fill(9)
            func tampered(_ path: String, _ change: (inout [String]) throws -> Void) throws -> VerificationReport {
                var lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init)
                try change(&lines)
                let copy = path + ".changed"
                try (lines.joined(separator: "\n") + "\n").write(toFile: copy, atomically: true, encoding: .utf8)
                return try OfflineVerifier.verify(path: copy, key: log.key.verifier)
            }
            func edit(_ line: String, _ change: (inout [String: JSON]) throws -> Void) throws -> String {
                let parsed = try JSON(parsing: line)
                var json = parsed.object ?? [:]
                try change(&json)
                return JSON.object(json).canonicalText
            }
            /// The index of the entry in the fourth line.
            func index(_ path: String) throws -> Int64 {
                let text = try String(contentsOfFile: path, encoding: .utf8)
                let line = try JSON(parsing: String(text.split(separator: "\n")[3]))
                return line["index"]?.int ?? -1
            }
            let full = try await log.export()
            var filter = EventFilter()
            filter.actor = "stf_1"
            let filtered = try await log.export(filter)
            for path in [full, filtered] {
                let value = try tampered(path) { lines in
                    lines[3] = lines[3].replacing("203.0.113.7", with: "203.0.113.8")
                }
                let index = try index(path)
                #expect(value.findings.map(\.index) == [index] && value.kinds == [.valueEdited])
                let dropped = try tampered(path) { $0.remove(at: 3) }
                #expect(dropped.kinds.contains(.rowDeleted))
                let cut = try tampered(path) { $0.removeLast() }
                #expect(cut.kinds.contains(.rowDeleted))
            }
            let forge: (inout [String: JSON]) throws -> Void = { json in
                var leaf = try #require(try JSON(parsing: Base64.decode(json["leaf"]!.string!)!).object)
                leaf["action"] = "test.never_happened"
                json["leaf"] = .string(Base64.encode(JSON.object(leaf).canonical))
            }
            let rewritten = try tampered(full) { lines in lines[3] = try edit(lines[3], forge) }
            #expect(rewritten.kinds == [.historyRewritten])
            let unproved = try tampered(filtered) { lines in lines[3] = try edit(lines[3], forge) }
            let line = try index(filtered)
            #expect(unproved.findings.map(\.kind) == [.leafEdited] && unproved.findings.first?.index == line)
            #expect(throws: NoteError.self) { try tampered(full) { $0 = ["{}"] } }
        }
    }
}
