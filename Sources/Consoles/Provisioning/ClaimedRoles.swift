import Kernel

/// Roles that the identity provider tells of in the token by which somebody signs in (spec: access §3). They come and go by the
/// same operations as those of SCIM: what is no power is given at once, what is waits until a colleague accepts it, what is not
/// held together is refused.
///
///     the token names it, nobody gave it yet       given, or it waits
///     the token names it no more, a claim gave it  taken, or it waits no longer
///     a colleague gave it                          stays, whatever the token says
public struct ClaimedRoles: Sendable {
    /// Who grants in their name, and the mark of what came by them.
    static let person = "oidc"

    let pipeline: Pipeline
    /// The roles that each value of the claim stands for.
    let meanings: [String: Set<String>]

    public init(pipeline: Pipeline, meanings: [String: Set<String>]) {
        self.pipeline = pipeline
        self.meanings = meanings
    }

    /// What an event of theirs says of its cause.
    static func facts(_ facts: [String: JSON], by person: String) -> [String: JSON] {
        person == Self.person ? facts.merging(["cause": "claim"]) { own, _ in own } : facts
    }

    /// What the values of somebody's claim stand for. Values that nobody gave a meaning stand for nothing.
    public func roles(of values: Set<String>) -> Set<String> {
        values.reduce(into: []) { roles, value in roles.formUnion(meanings[value] ?? []) }
    }

    /// Brings what somebody holds by claims to what their token says. What is refused is recorded as such and leaves the rest as it
    /// is: one role that can't be given keeps nobody out.
    public func settle(_ staff: String, _ wanted: Set<String>, from source: Source) async throws(OperationError) {
        let steps: [OperationRequest]
        do {
            steps = try await pipeline.database.read { reader in try Self.steps(staff, wanted, from: reader) }
        } catch {
            throw pipeline.translate(error, nil)
        }
        let caller = Caller(
            actor: .system(Self.person), person: Self.person, displayName: Self.person, client: source.client,
            requestID: source.requestID)
        for step in steps {
            do throws(OperationError) {
                _ = try await pipeline.run(step, by: caller)
            } catch {
                switch error {
                case .conflict, .invalid, .locked, .overLimit, .notFound: continue
                default: throw error
                }
            }
        }
    }

    /// What is taken away first: it may be what the other is not held together with.
    private static func steps(
        _ staff: String, _ wanted: Set<String>, from reader: any Reader
    ) throws -> [OperationRequest] {
        let rows = try reader.query([Grant.of([staff]), PendingGrant.undecided(of: staff)])
        let live = try rows[0].map(Grant.init).filter { $0.isLive(at: reader.now) }
        let undecided = try rows[1].map(PendingGrant.init)
        let claimed = Set(
            live.filter { $0.source == person }.map(\.role) + undecided.filter { $0.source == person }.map(\.role))
        let present = Set(live.map(\.role) + undecided.map(\.role))
        return [
            (WithdrawRole.spec.name, claimed.subtracting(wanted)),
            (ProvisionRole.spec.name, wanted.subtracting(present)),
        ].flatMap { operation, roles in
            roles.sorted().map { OperationRequest(operation: operation, target: staff, input: ["role": .string($0)]) }
        }
    }
}
