import Foundation
import Testing

@testable import Kernel

/// `Golden/event-v1.json` is written by `e2e/golden_events.py`, which shares no code with the server.
@Suite struct `Event version 1` {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    static func cases() throws -> [JSON] {
        let data = try Data(contentsOf: root.appendingPathComponent("Golden/event-v1.json"))
        return try #require(try JSON(parsing: Array(data))["cases"]?.array)
    }

    /// The draft a golden case describes.
    static func draft(_ json: JSON) throws -> EventDraft {
        func text(_ name: String) -> String? { json[name]?.string }
        let actor = Actor(
            try #require(json["actor"]?["type"]?.string.flatMap(Actor.Kind.init)),
            try #require(json["actor"]?["id"]?.string))
        var draft = EventDraft(
            id: text("id"), at: Instant(microseconds: try #require(json["at"]?.int)),
            try #require(text("class").flatMap(EventClass.init)), try #require(text("action")),
            try #require(text("outcome").flatMap(EventOutcome.init)), actor: actor)
        draft.retention = try #require(text("retention_class").flatMap(RetentionClass.init))
        if let auth = json["auth"] {
            draft.authentication = Authentication(
                session: try #require(auth["session"]?.string),
                factors: try #require(auth["factors"]?.array).compactMap { $0.string.flatMap(FactorKind.init) },
                mfaAt: Instant(microseconds: try #require(auth["mfa_at"]?.int)), readAt: Instant(microseconds: 0))
        }
        draft.client = text("client").flatMap(Client.init)
        draft.actingAs = text("acting_as")
        draft.tenant = text("tenant")
        if let target = json["target"] {
            draft.target = (try #require(target["type"]?.string), try #require(target["id"]?.string))
        }
        draft.reasonCode = text("reason_code")
        draft.policyVersion = json["policy_version"]?.int
        draft.requestID = text("request_id")
        draft.operationID = text("operation_id")
        draft.approvalID = text("approval_id")
        draft.linked = text("linked")
        draft.facts = json["facts"]?.object ?? [:]
        draft.changes = try (json["changes"]?.array ?? []).map { change in
            EventDraft.ChangeRecord(
                type: try #require(change["type"]?.string), id: try #require(change["id"]?.string),
                before: change["before"].map { .init($0, subjects: []) },
                after: change["after"].map { .init($0, subjects: []) })
        }
        draft.sealed = (json["sealed"]?.object ?? [:]).mapValues { .init($0, subjects: []) }
        return draft
    }

    @Test func `the independent encoder's bytes are reproduced`() throws {
        let cases = try Self.cases()
        #expect(cases.count >= 7)
        for golden in cases {
            let name = try #require(golden["name"]?.string)
            var drawn = 0
            let event = SealedEvent(try Self.draft(try #require(golden["draft"]))) {
                defer { drawn += 1 }
                return sha256(Array("salt:\(name):\(drawn)".utf8))
            }
            let leaf = try #require(golden["leaf"]?.string.flatMap(Base64.decode))
            #expect(String(decoding: event.leaf, as: UTF8.self) == String(decoding: leaf, as: UTF8.self), "\(name)")
            #expect(event.leaf == leaf, "\(name)")
            #expect(MerkleTree.leafHash(event.leaf).bytes.hex == golden["leaf_hash"]?.string, "\(name)")
            #expect(event.sealedText == golden["sealed_row"]?.canonicalText, "\(name)")
        }
    }

    @Test func `the committed vectors are what the script writes`() throws {
        let result = try Script.run("golden_events.py", ["--check"])
        #expect(result.status == 0, "\(result.output)")
    }

    @Test func `a leaf of another version is refused`() {
        #expect(throws: NoteError.self) { try LeafReader(Array(#"{"v":2}"#.utf8)) }
        #expect(throws: NoteError.self) { try LeafReader(Array(#"{}"#.utf8)) }
        #expect(throws: NoteError.self) { try LeafReader(Array(#"[]"#.utf8)) }
    }
}

/// The scripts of `e2e/` that check the server's work from outside.
enum Script {
    static func run(_ name: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", `Event version 1`.root.appendingPathComponent("e2e/\(name)").path] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
