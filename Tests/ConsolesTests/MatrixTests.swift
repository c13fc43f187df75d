import Consoles
import Foundation
import Kernel
import TestSupport
import Testing

/// The permission matrix from end to end, cell by cell: rows seeded into the tables, a grant, a sign-in, and then every
/// operation and read, allowed and refused.
@Suite struct MatrixTests {
    /// Role → permissions, as reviewed.
    private static func reviewed() throws -> [(role: String, permissions: Set<String>)] {
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Golden/permissions.txt")
        var roles: [(role: String, permissions: Set<String>)] = []
        for line in try String(contentsOf: url, encoding: .utf8).split(separator: "\n") where !line.hasPrefix("#") {
            let cells = line.split(separator: "\t").map(String.init)
            if roles.last?.role != cells[0] { roles.append((cells[0], [])) }
            if cells[1] != "(none)" { roles[roles.count - 1].permissions.insert(cells[1]) }
        }
        return roles
    }

    /// The permission somebody is refused for want of; `nil` when it is for another reason, or they are not.
    private static func missing(_ body: () async throws -> Void) async -> String? {
        if case .forbidden(let permission, _) = await failure(body) { return permission }
        return nil
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `each role may do what was reviewed, and nothing else`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, drifted: true)
        let staff = try await StaffFixture.make(world.test, seeded: false)
        var trials: [World.Trial] = []
        for operation in world.catalog.operations where !operation.spec.systemOnly {
            if let trial = try await world.trial(of: operation) { trials.append(trial) }
        }
        #expect(trials.count >= 8)
        let cursors = CursorCodec(key: SecureRandom.bytes(32))
        let roles = try Self.reviewed()
        #expect(roles.count == 13)
        let people = try await staff.invite(
            roles.map { ("\($0.role)@example.test", [$0.role]) }, by: world.everybody)
        for ((role, permissions), person) in zip(roles, people) {
            let caller = try await staff.caller(person.first)
            #expect(Set(caller.permissions.granted.keys) == permissions, "\(role)")
            for trial in trials {
                let spec = try #require(world.catalog[trial.request.operation]?.spec)
                let refused = await Self.missing { _ = try await world.pipeline.preview(trial.request, by: caller) }
                let expected = permissions.contains(spec.permission) ? nil : spec.permission
                #expect(refused == expected, "\(role): \(spec.name)")
            }
            for read in world.catalog.reads {
                let call = ReadCall(path: ["id": "ten_none"], query: ["q": ["a"]], caller: caller, cursors: cursors)
                let refused = await Self.missing {
                    _ = try await world.pipeline.read(read.permission, by: caller) { reader in
                        let answer = try read.run(call, reader)
                        return (answer, answer.disclosure)
                    }
                }
                // A read may ask for more than its first permission, never for less.
                if let permission = read.permission, !permissions.contains(permission) {
                    #expect(refused == permission, "\(role): \(read.name)")
                }
                if let refused { #expect(!permissions.contains(refused), "\(role): \(read.name)") }
            }
        }
        await world.close()
    }
}
