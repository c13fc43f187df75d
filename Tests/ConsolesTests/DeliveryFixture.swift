import Consoles
import Kernel
import Store
import Synchronization
import TestSupport

/// Answers as it is told to, and remembers what it carried.
final class ScriptedCourier: Courier {
    private let answers: Mutex<[SendOutcome]>
    private let carried = Mutex<[Parcel]>([])

    /// The last answer is given again and again.
    init(_ answers: SendOutcome...) { self.answers = Mutex(answers) }

    var parcels: [Parcel] { carried.withLock { $0 } }
    /// The bodies in the order they were sent.
    var bodies: [JSON] { parcels.compactMap { try? JSON(parsing: $0.body) } }

    func deliver(_ parcel: Parcel) async -> SendOutcome {
        carried.withLock { $0.append(parcel) }
        return answers.withLock { $0.count > 1 ? $0.removeFirst() : $0.first ?? .delivered(status: 200) }
    }
}

/// Never answers, until it is told to stop.
struct HangingCourier: Courier {
    func deliver(_ parcel: Parcel) async -> SendOutcome {
        try? await Task.sleep(for: .seconds(600))
        return .interrupted
    }
}

/// A pipeline with endpoints over a fresh database, and the outbox behind it.
struct DeliveryFixture {
    let world: World
    var settings = DeliveryOutbox.Settings()

    static func make(_ kind: TestDatabase.Kind, sendsMail: Bool = false) async throws -> DeliveryFixture {
        DeliveryFixture(world: try await World.make(kind, populated: false, sendsMail: sendsMail))
    }

    static func with(
        _ kind: TestDatabase.Kind, sendsMail: Bool = false, _ body: (DeliveryFixture) async throws -> Void
    ) async throws {
        let fixture = try await make(kind, sendsMail: sendsMail)
        do {
            try await body(fixture)
            await fixture.world.close()
        } catch {
            await fixture.world.close()
            throw error
        }
    }

    var outbox: DeliveryOutbox {
        DeliveryOutbox(pipeline: world.pipeline, settings: settings, clock: world.test.clock.clock)
    }

    @discardableResult
    func webhook(_ events: [String] = ["tenant.created", "tenant.updated", "tenant.suspended"]) async throws -> String {
        try await world.run(
            "webhook.create",
            ["url": "https://hooks.example.com/postern", "events": .array(events.map(JSON.string))]
        ).target ?? ""
    }

    func rename(_ tenant: String, _ name: String) async throws {
        let version = try await world.test.database.read { try Tenant.load(tenant, from: $0)?.version }
        _ = try await world.pipeline.run(
            OperationRequest(
                operation: "tenant.update", target: tenant, input: ["name": .string(name)], ifMatch: version,
                idempotencyKey: world.key()), by: world.everybody)
    }

    /// Everything that is due now and becomes due by that, carried by `courier`.
    func send(by courier: any Courier) async throws {
        let worker = OutboxWorker(outbox: outbox, courier: courier)
        repeat {
            let begun = try await worker.turn()
            await worker.finishSends()
            if begun == 0 { break }
        } while true
    }

    /// In the order they were made.
    func deliveries() async throws -> [Delivery] {
        try await world.test.database.read { reader in
            try reader.query(Statement("SELECT \(Delivery.columns) FROM deliveries")).map(Delivery.init)
        }.sorted { ($0.createdAt, $0.tenantVersion ?? 0, $0.id) < ($1.createdAt, $1.tenantVersion ?? 0, $1.id) }
    }

    func delivered() async throws -> Int { try await deliveries().filter { $0.state == .delivered }.count }

    func count(_ table: String) async throws -> Int64 {
        try await world.test.database.read { try TestQueries.count(table, $0) }
    }

    /// Leaves of effect events, oldest first.
    func effects(_ action: String) async throws -> [JSON] {
        try await world.test.database.read { reader in
            try TestQueries.events(skipping: 0, reader).filter { try $0.string("action") == action }.map {
                try JSON(parsing: try $0.bytes("leaf"))
            }
        }
    }
}
