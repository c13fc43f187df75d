import Kernel

/// The identity provider's door. A token is looked up by its digest for every request; what is asked goes through the pipeline
/// as a part of Postern (`scim`), with the token named in each event.
public struct ScimDoor: ProvisioningDoor {
    /// Who grants and invites in its name.
    public static let person = "scim"

    let pipeline: Pipeline
    private let throttle: TokenThrottle

    /// How often the time of last use is written.
    private static let touchEvery = Span.minutes(1)

    /// - Parameter hooks: the same as the pipeline's, so that the sequencer wakes for these events too.
    public init(pipeline: Pipeline, hooks: Pipeline.Hooks = .init(), clock: Clock = .system) {
        self.pipeline = pipeline
        throttle = TokenThrottle(pipeline: pipeline, hooks: hooks, clock: clock, realm: "scim")
    }

    private enum Found: Sendable {
        case live(ScimToken, holder: String, isDue: Bool)
        /// Unknown, or one that is over.
        case none(ScimToken?, why: String, blockedFor: Span?)
    }

    public func authenticate(token text: String, from source: Source) async throws(OperationError) -> Caller {
        let found: Found
        do {
            let digest = AccountToken.digest(text)
            let snapshot = try await pipeline.database.snapshot([
                ScimToken.withDigest(digest), ScimToken.use(of: digest), SignInQueries.throttle([throttle.key(source)]),
            ])
            found = try Self.look(
                snapshot, digest, isPlausible: AccountToken.isPlausible(text, ScimToken.letters))
        } catch {
            throw TokenThrottle.translate(error)
        }
        switch found {
        case .live(let token, let holder, let isDue):
            if isDue {
                // A missed touch only shows an earlier use, so a busy database does not fail the request.
                try? await pipeline.database.write { tx in tx.enqueue(ScimToken.touch(token.id, at: tx.now)) }
            }
            return Caller(
                actor: .system(Self.person), person: Self.person, displayName: token.id, client: .api, ip: source.ip,
                userAgent: source.userAgent, requestID: source.requestID,
                mandate: Mandate(token: token.id, holder: holder))
        case .none(_, _, let wait?):
            throw .wait(wait)
        case .none(let token, let why, nil):
            var draft = EventDraft(
                at: throttle.clock.now, .authn, "scim_token.refused", .denied, actor: .system(Self.person))
            draft.facts = ["why": .string(why)]
            draft.target = token.map { (ScimToken.type, $0.id) }
            try await throttle.count(draft, from: source)
            throw .unauthenticated
        }
    }

    private static func look(_ snapshot: Snapshot, _ digest: String, isPlausible: Bool) throws -> Found {
        let now = snapshot.now
        let token = try isPlausible ? snapshot.rows[0].first.map(ScimToken.init) : nil
        let why: String
        if let token {
            if token.state(at: now) != .active {
                why = token.state(at: now).rawValue
            } else if token.token.opens(digest, at: now) {
                let used = try snapshot.rows[1].first?.instant("used_at")
                return .live(
                    token, holder: token.holder(of: digest), isDue: used.map { now - $0 >= touchEvery } ?? true)
            } else {
                why = "replaced"
            }
        } else {
            why = "unknown"
        }
        return .none(token, why: why, blockedFor: try TokenThrottle.wait(snapshot.rows[2], at: now))
    }

    // MARK: Answering

    public func answer(_ call: ProvisioningCall) async throws(ProvisioningError) -> ProvisioningAnswer {
        let address = call.address
        switch (call.path.first, call.path.count) {
        case ("Users", 1...2): return try await ScimPeople(door: self, call: call).answer()
        case ("Groups", 1...2): return try await ScimGroups(door: self, call: call).answer()
        case ("ServiceProviderConfig", 1):
            try Self.readOnly(call)
            return .resource(ScimSchemas.configuration(at: address), version: nil, isCreated: false)
        case ("Schemas", 1...2):
            try Self.readOnly(call)
            let ids = [ScimSchemas.user, ScimSchemas.group]
            return try Self.fixed(call, ids.compactMap { ScimSchemas.schema($0, at: address) }) {
                ScimSchemas.schema($0, at: address)
            }
        case ("ResourceTypes", 1...2):
            try Self.readOnly(call)
            return try Self.fixed(call, ["User", "Group"].compactMap { ScimSchemas.resourceType($0, at: address) }) {
                ScimSchemas.resourceType($0, at: address)
            }
        case ("Bulk", _), ("Me", _), (".search", _):
            throw ProvisioningError(.notOffered, "\(call.path[0]) is not offered here.")
        default:
            throw ProvisioningError(.notFound, "There is nothing at /\(call.path.joined(separator: "/").prefix(80)).")
        }
    }

    private static func readOnly(_ call: ProvisioningCall) throws(ProvisioningError) {
        guard call.verb == .read else { throw ProvisioningError(.notAllowed, "This is only read.") }
    }

    /// What describes the service: filters make no sense of it (RFC 7644 §4).
    private static func fixed(
        _ call: ProvisioningCall, _ all: [JSON], _ one: (String) -> JSON?
    ) throws(ProvisioningError) -> ProvisioningAnswer {
        guard call.first("filter") == nil else {
            throw ProvisioningError(.forbidden, "What describes the service can't be filtered.")
        }
        guard call.path.count == 2 else { return .list(ScimSchemas.listing(all, total: Int64(all.count))) }
        guard let found = one(call.path[1]) else {
            throw ProvisioningError(.notFound, "There is no \(call.path[1].prefix(80)) here.")
        }
        return .resource(found, version: nil, isCreated: false)
    }

    // MARK: What both kinds of resources share

    /// Reads, and records what was read of people.
    func read<T: Sendable>(
        _ call: ProvisioningCall, _ body: @escaping @Sendable (any Reader) throws -> (T, Disclosure?)
    ) async throws(ProvisioningError) -> T {
        do throws(OperationError) {
            return try await pipeline.read(nil, by: call.caller, body)
        } catch {
            throw Self.refusal(error)
        }
    }

    /// Runs one operation as the provider.
    @discardableResult
    func run(
        _ operation: String, on target: String? = nil, _ input: JSON = .object([:]), reason: String? = nil,
        ifMatch: Int64? = nil, _ call: ProvisioningCall
    ) async throws(ProvisioningError) -> Applied {
        do throws(OperationError) {
            let outcome = try await pipeline.run(
                OperationRequest(
                    operation: operation, target: target, input: input, reasonCode: reason, ifMatch: ifMatch),
                by: call.caller)
            guard case .applied(let applied) = outcome.result else {
                throw OperationError.conflict(
                    "\(operation) waits for somebody's approval in Postern, as its policy has it.", legal: nil)
            }
            return applied
        } catch {
            throw Self.refusal(error)
        }
    }

    /// Runs what one request comes to, as the provider: all of it, or nothing.
    /// - Parameter word: says what a step is about, where the refusal would not.
    func run(
        together steps: [OperationRequest], _ call: ProvisioningCall,
        naming word: (OperationRequest) -> String? = { _ in nil }
    ) async throws(ProvisioningError) {
        do throws(StoppedTogether) {
            _ = try await pipeline.run(together: steps, by: call.caller)
        } catch {
            let refusal = Self.refusal(error.error)
            guard let about = word(steps[error.step]), refusal.defect == nil else { throw refusal }
            throw ProvisioningError(refusal.reason, "\(about): \(refusal.detail)", retryAfter: refusal.retryAfter)
        }
    }

    /// Unique values, by the field that carries them.
    private static let unique: Set<String> = ["/input/email", "/input/user_name"]

    static func refusal(_ error: OperationError) -> ProvisioningError {
        switch error {
        case .invalid(let errors):
            let detail = errors.map(\.detail).joined(separator: " ")
            let isTaken = errors.contains { unique.contains($0.pointer) && $0.detail.contains("Somebody") }
            return ProvisioningError(isTaken ? .uniqueness : .invalidValue, detail)
        case .conflict(let detail, _), .locked(let detail), .overLimit(let detail), .notAsked(let detail):
            return ProvisioningError(.conflict, detail)
        case .notFound(let detail): return ProvisioningError(.notFound, detail)
        case .preconditionFailed:
            return ProvisioningError(
                .versionMismatch, "Somebody changed it since you read it. Read it again and repeat.")
        case .forbidden(_, let detail): return ProvisioningError(.forbidden, detail)
        case .tooManyRequests(let wait):
            return ProvisioningError(.tooManyRequests, "Too many requests.", retryAfter: wait)
        case .unavailable(let detail): return ProvisioningError(.unavailable, detail, retryAfter: .seconds(5))
        case .internalError(let detail):
            return ProvisioningError(.internalError, "The request could not be finished.", defect: detail)
        default: return ProvisioningError(.internalError, "The request could not be finished.", defect: "\(error)")
        }
    }
}

/// The page of a list that is asked for (RFC 7644 §3.4.2.4).
struct ScimPaging {
    let start: Int64
    let count: Int

    init(_ call: ProvisioningCall) throws(ProvisioningError) {
        func number(_ name: String) throws(ProvisioningError) -> Int64? {
            guard let text = call.first(name) else { return nil }
            guard let value = Int64(text), value.magnitude < 1_000_000_000 else {
                throw ProvisioningError(.invalidValue, "\(name) must be a whole number.")
            }
            return value
        }
        // Less than the first is the first, and less than none is none, as the standard has it.
        start = max(1, try number("startIndex") ?? 1)
        count = Int(min(Int64(ScimSchemas.mostResults), max(0, try number("count") ?? 100)))
    }
}

/// Which attributes are wanted (RFC 7644 §3.4.2.5). What names a resource is always there.
struct ScimSelection {
    private let only: Set<String>
    private let without: Set<String>

    init(_ call: ProvisioningCall) {
        func names(_ name: String) -> Set<String> {
            let given = (call.query[name] ?? []).flatMap { $0.split(separator: ",") }
            return Set(
                given.map { text in
                    let folded = text.lowercased().filter { $0 != " " }
                    guard folded.hasPrefix("urn:"), let colon = folded.lastIndex(of: ":") else { return folded }
                    return String(folded[folded.index(after: colon)...])
                })
        }
        only = names("attributes")
        without = only.isEmpty ? names("excludedAttributes") : []
    }

    private static let always: Set<String> = ["schemas", "id"]

    /// Whether it is worth looking up.
    func wants(_ name: String) -> Bool {
        let name = name.lowercased()
        return only.isEmpty ? !without.contains(name) : only.contains { $0 == name || $0.hasPrefix(name + ".") }
    }

    func apply(_ resource: JSON) -> JSON {
        guard !only.isEmpty || !without.isEmpty, let members = resource.object else { return resource }
        var out: [String: JSON] = [:]
        for (name, value) in members {
            let folded = name.lowercased()
            if Self.always.contains(folded) {
                out[name] = value
            } else if only.isEmpty {
                guard !without.contains(folded) else { continue }
                let parts = without.filter { $0.hasPrefix(folded + ".") }
                out[name] = parts.isEmpty ? value : Self.keep(value) { !parts.contains("\(folded).\($0)") }
            } else if only.contains(folded) {
                out[name] = value
            } else {
                let parts = only.filter { $0.hasPrefix(folded + ".") }
                if !parts.isEmpty { out[name] = Self.keep(value) { parts.contains("\(folded).\($0)") } }
            }
        }
        return .object(out)
    }

    private static func keep(_ value: JSON, _ wants: (String) -> Bool) -> JSON {
        switch value {
        case .object(let members): .object(members.filter { wants($0.key.lowercased()) })
        case .array(let values): .array(values.map { keep($0, wants) })
        default: value
        }
    }
}
