import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

/// What people are told of emergencies and of reviews of access, in the console and by mail (decisions 27 and 29).
@Suite struct InboxReviewsTests {
    /// The inboxes and the mail of a world.
    struct Post {
        let world: World

        /// Everything that waits is told; answers the mails, as whom they are for and what they are called.
        @discardableResult
        func tell(_ pipeline: Pipeline? = nil) async throws -> [String] {
            var settings = DeliveryOutbox.Settings()
            settings.channels = [.mail]
            let outbox = DeliveryOutbox(
                pipeline: pipeline ?? world.pipeline, settings: settings, clock: world.test.clock.clock)
            while try await outbox.distribute() {}
            var mails: [String] = []
            while case let parcels = try await outbox.claim(10, inFlight: [:]), !parcels.isEmpty {
                for parcel in parcels {
                    if let mail = MailMessage(parcel.body) {
                        mails.append("\(mail.to.prefix { $0 != "@" }): \(mail.subject)")
                    }
                    try await outbox.settle(parcel, .delivered(status: 250), took: .milliseconds(1))
                }
            }
            return mails.sorted()
        }

        func entries(of person: String, all: Bool = false) async throws -> [InboxEntry] {
            let call = ReadCall(
                path: [:], query: all ? ["view": ["all"]] : [:], caller: try await world.caller(person),
                cursors: CursorCodec(key: [UInt8](repeating: 1, count: 32)))
            let catalog = world.catalog
            return try await world.test.database.read {
                try InboxListing.load(call, catalog: catalog, from: $0).entries
            }
        }

        /// What is unread.
        func kinds(of person: String) async throws -> Set<String> {
            Set(try await entries(of: person).map(\.notice.kind.rawValue))
        }

        func entry(_ kind: Notice.Kind, of person: String) async throws -> InboxEntry {
            try #require(try await entries(of: person, all: true).first { $0.notice.kind == kind }, "\(kind)")
        }

        /// Events that somebody got more than one mail of.
        func doubles() async throws -> [String] {
            try await world.test.database.read { reader in
                try reader.query(
                    Statement(
                        """
                        SELECT event_id, webhook_id, count(*) AS count FROM deliveries WHERE webhook_id LIKE 'mail:%'
                            AND name NOT IN ('mail.request_reminder', 'mail.request_unanswered')
                        GROUP BY event_id, webhook_id HAVING count(*) > 1
                        """)
                ).map { "\(try $0.string("event_id")) \(try $0.string("webhook_id"))" }
            }
        }
    }

    // MARK: Emergencies

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an emergency is told to those with a say, and its review is asked of those who could`(
        kind: TestDatabase.Kind
    ) async throws {
        try await BreakGlassStage.with(kind, sendsMail: true) { stage in
            let world = stage.world
            let post = Post(world: world)
            let (ann, bob, sam, lee) = (stage.ann.person, stage.bob.person, stage.sam.person, stage.lee.person)
            let dan = try await world.staff("dan", roles: ["security"]).person
            let id = try await stage.open(by: stage.ann, with: stage.bob)
            try await post.tell()
            #expect(try await post.kinds(of: bob) == ["breakglass_opened"])
            #expect(try await post.kinds(of: sam) == ["breakglass_opened"])
            // Whoever asked hears it as what became of the request.
            #expect(try await post.kinds(of: ann) == ["request_executed"])
            #expect(try await post.kinds(of: lee) == [])
            let opened = try await post.entry(.emergencyOpened, of: sam)
            #expect(opened.title == "Break-glass was opened: Tenant acme" && opened.who == "ann")
            #expect(opened.path == "/breakglass-sessions/\(id)")
            #expect(opened.detail?.hasPrefix("It is open until ") == true)

            try await stage.apply("breakglass.end", on: id, by: stage.sam)
            try await post.tell()
            #expect(try await post.kinds(of: sam) == ["breakglass_opened", "breakglass_review_owed"])
            #expect(try await post.kinds(of: dan) == ["breakglass_opened", "breakglass_review_owed"])
            // Neither who opened it nor who agreed reviews it.
            #expect(try await post.kinds(of: ann) == ["request_executed", "breakglass_ended"])
            #expect(try await post.kinds(of: bob) == ["breakglass_opened", "breakglass_ended"])
            #expect(try await post.entry(.emergencyEnded, of: ann).title == "Your break-glass has ended: Tenant acme")
            let owed = try await post.entry(.emergencyOwed, of: dan)
            #expect(owed.title == "A break-glass is to be reviewed: Tenant acme" && owed.who == "sam")
            #expect(owed.detail?.hasPrefix("Its review is owed by ") == true)
            // Who ended it is not who is to review it: beside the name, and under the title on a phone.
            let call = PageCallFixture.make(try await world.caller(dan))
            let shown = try await world.test.database.read { try InboxPages.list.render(call, $0).body.text }
            for (deed, who) in [("Ended by", "sam"), ("Opened by", "ann")] {
                #expect(shown.contains("<span class=\"sub sub--p3\">\(deed) \(who)</span>"), "\(deed)")
                #expect(shown.contains("<span class=\"sub\">\(deed)</span><span class=\"person\">"), "\(deed)")
            }
            // The first notice still says what it said, and then how it stands.
            let over = try await post.entry(.emergencyOpened, of: sam)
            #expect(over.title == opened.title && over.detail?.hasPrefix("It was open until ") == true)
            #expect(over.detail?.contains(" Its review is owed by ") == true)

            stage.advance(.hours(49))
            try await stage.turn()
            let mails = try await post.tell()
            #expect(mails == ["ann", "bob", "dan", "sam"].map { "\($0): The review of a break-glass is overdue" })
            for person in [ann, bob, sam, dan] {
                #expect(try await post.kinds(of: person).contains("breakglass_review_overdue"))
            }
            let late = try await post.entry(.emergencyOverdue, of: ann)
            #expect(late.title == "The review of your break-glass is overdue: Tenant acme" && late.who == nil)

            try await stage.review(id, by: stage.sam)
            try await post.tell()
            let reviewed = try await post.entry(.emergencyReviewed, of: ann)
            #expect(reviewed.who == "sam" && reviewed.detail == "Justified: all of it was right.")
            let opening = try await post.entry(.emergencyOpened, of: sam)
            #expect(opening.title == opened.title && opening.detail?.hasPrefix("It was open until ") == true)
            #expect(opening.detail?.hasSuffix(". Justified: all of it was right.") == true)
            let asked = try await post.entry(.emergencyOwed, of: dan)
            #expect(asked.title == "A break-glass was to be reviewed: Tenant acme")
            #expect(asked.detail?.hasPrefix("Its review was owed by ") == true)
            #expect(
                try await post.entry(.emergencyOverdue, of: ann).title
                    == "The review of your break-glass was overdue: Tenant acme")
            // Nobody is asked for it any more: whoever did it has read it, for the others it is moot.
            for kind in Notice.Kind.askingToReview {
                let (mine, theirs) = (try await post.entry(kind, of: sam), try await post.entry(kind, of: dan))
                #expect(mine.notice.readAt != nil && !mine.notice.isMoot)
                #expect(theirs.notice.readAt != nil && theirs.notice.isMoot)
            }
            #expect(try await post.doubles() == [])
            // Who may not look any more is told nothing of it.
            try await world.revoke("security", of: sam)
            let hidden = try await post.entry(.emergencyOpened, of: sam)
            #expect(hidden.title == "An emergency that you can no longer look at" && hidden.path == nil)
            #expect(hidden.detail == nil && hidden.who == nil)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what ends with its opener’s sessions is told and owed as well`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind, sendsMail: true) { stage in
            let post = Post(world: stage.world)
            let id = try await stage.open(by: stage.ann, with: stage.bob)
            try await post.tell()
            try await stage.world.session("ses_ann", of: stage.ann.person)
            try await stage.apply("staff.revoke_sessions", on: stage.ann.person, reason: "suspicious", by: stage.bob)
            #expect(try await stage.session(id).state == .ended)
            let mails = try await post.tell()
            #expect(
                mails == ["ann", "bob", "sam"].map { "\($0): Break-glass has ended, and its review is owed" })
            #expect(try await post.kinds(of: stage.sam.person).contains("breakglass_review_owed"))
            #expect(try await post.kinds(of: stage.ann.person).isSuperset(of: ["sessions_ended", "breakglass_ended"]))
            // Bob did it, and agreed to opening it.
            #expect(try await post.kinds(of: stage.bob.person) == ["breakglass_opened"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `one event is one mail to a person, whatever they are told it as`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind, sendsMail: true) { stage in
            let world = stage.world
            let post = Post(world: world)
            // Holds both roles that are told.
            try await world.put([
                .create(
                    Grant(
                        id: "grt_both", staffID: stage.bob.person, role: "security", grantedBy: "bootstrap",
                        grantedAt: stage.now - .days(9)))
            ])
            let request = try await stage.ask(by: stage.ann)
            // Nobody is there, so those who could sign would get mail of every other request; whoever asks knows.
            #expect(try await post.tell() == ["bob: Break-glass waits for your signature, for 10 minutes"])
            try await stage.approve(request, by: stage.bob)
            #expect(
                try await post.tell() == [
                    "ann: Your request was carried out", "bob: Break-glass was opened", "sam: Break-glass was opened",
                ])
            let id = try #require(try await stage.live(of: stage.ann)).id
            try await stage.apply("breakglass.end", on: id, by: stage.ann)
            #expect(
                try await post.tell()
                    == ["ann", "bob", "sam"].map { "\($0): Break-glass has ended, and its review is owed" })
            stage.advance(.hours(49))
            try await stage.turn()
            // The CISO’s address is a colleague’s: they hear of it as that.
            var settings = world.pipeline.settings
            settings.ciso = "Sam@staff.test"
            let pipeline = Pipeline(
                database: world.test.database, records: SQLRecords(), directory: StaffDirectory(),
                catalog: world.catalog, clock: world.test.clock.clock, settings: settings)
            #expect(
                try await post.tell(pipeline)
                    == ["ann", "bob", "sam"].map { "\($0): The review of a break-glass is overdue" })
            #expect(try await post.doubles() == [])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `one that was opened alone is told as that, and its opener’s page says that they are locked`(
        kind: TestDatabase.Kind
    ) async throws {
        try await BreakGlassStage.with(kind, sendsMail: true) { stage in
            let post = Post(world: stage.world)
            func page(_ caller: Caller, of person: Caller) async throws -> String {
                let call = PageCallFixture.make(try await stage.fresh(caller), path: ["id": person.person])
                return try await stage.world.test.database.read { try StaffPages.view.render(call, $0).body.text }
            }
            func lock(of person: Caller) async throws -> JSON? {
                try await stage.world.test.database.read { reader in
                    try StaffDetail.load(person.person, from: reader).json(at: reader.now)["lock"]
                }
            }
            let watcher = try await stage.world.staff("watcher", roles: ["compliance"])
            #expect(try await lock(of: stage.ann) == .null)
            let id = try await stage.openAlone(by: stage.ann)
            #expect(try await post.tell().contains("ann: Break-glass was opened by one person alone"))
            let opened = try await post.entry(.emergencyOpened, of: stage.bob.person)
            #expect(opened.title == "Break-glass was opened by one person alone: Tenant acme")
            #expect(try await post.kinds(of: stage.ann.person).contains("breakglass_opened") == false)
            var text = try await page(stage.bob, of: stage.ann)
            #expect(text.contains("ann is locked until somebody else has reviewed their break-glass."))
            #expect(text.contains("for Tenant acme") && text.contains("It is open until "))
            #expect(text.contains(">Locked<") && text.contains("/breakglass-sessions/\(id)"))
            #expect(try await page(stage.bob, of: stage.lee).contains("Locked") == false)

            stage.advance(.minutes(31))
            try await stage.turn()
            try await post.tell()
            text = try await page(watcher, of: stage.ann)
            #expect(text.contains("Its review is owed in ") && text.contains(">Locked<"))
            #expect(try await lock(of: stage.ann)?["breakglass_id"]?.string == id)
            let ended = try await post.entry(.emergencyEnded, of: stage.ann.person)
            #expect(ended.detail?.hasSuffix("Until then you can do nothing else.") == true)
            // Bob is told that he could review it, and whoever is locked themself is not.
            #expect(try await post.kinds(of: stage.bob.person).contains("breakglass_review_owed"))

            stage.advance(.hours(49))
            try await stage.turn()
            #expect(try await page(stage.bob, of: stage.ann).contains("and is overdue."))
            try await stage.review(id, by: stage.bob)
            #expect(try await page(stage.bob, of: stage.ann).contains("Locked") == false)
            #expect(try await lock(of: stage.ann) == .null)
            // By two, it locks nothing; another one waits all the same.
            let second = try await stage.open(by: stage.bob, with: stage.ann)
            #expect(try await page(stage.ann, of: stage.bob).contains("can’t open break-glass") == false)
            try await stage.apply("breakglass.end", on: second, by: stage.bob)
            text = try await page(stage.ann, of: stage.bob)
            #expect(text.contains("bob can’t open break-glass until their last one is reviewed."))
            #expect(!text.contains("Locked"))
        }
    }

    // MARK: Reviews of access

    private static func with(
        _ kind: TestDatabase.Kind, _ body: (AccessReviewStage, Post) async throws -> Void
    ) async throws {
        let stage = try await AccessReviewStage(kind)
        do {
            try await body(stage, Post(world: stage.world))
            await stage.world.close()
        } catch {
            await stage.world.close()
            throw error
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a review asks its reviewers, and whose grant it was hears what they decided`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { stage, post in
            let id = try await stage.start()
            let items = try await stage.items(id)
            let reviewers = Set(items.compactMap(\.reviewer))
            let mails = try await post.tell()
            #expect(
                mails.count == reviewers.count && mails.allSatisfy { $0.hasSuffix("An access review waits for you") })
            for person in [stage.ada, stage.ben, stage.cyd, stage.dot].map(\.person) {
                #expect(try await post.kinds(of: person) == (reviewers.contains(person) ? ["access_review_asked"] : []))
            }
            let first = try #require(reviewers.min())
            let asked = try await post.entry(.accessReviewAsked, of: first)
            #expect(asked.title == "An access review waits for you: Security, Super admin" && asked.who == "dot")
            #expect(asked.path == "/access-reviews/\(id)?state=open&reviewer=me")
            #expect(asked.detail == "It is due at \(try await stage.review(id).dueAt.minuteText).")

            // Kept: its holder hears by whom, and nothing is left for the reviewer.
            let kept = try await stage.item(stage.ada, in: id)
            let keeper = try #require(kept.reviewer)
            try await stage.decide("keep", kept, by: stage.world.caller(keeper))
            try await post.tell()
            #expect(try await post.kinds(of: keeper).contains("access_review_asked") == false)
            let keeps = try await post.entry(.grantKept, of: stage.ada.person)
            #expect(keeps.title == "You keep Super admin" && keeps.path == "/me")
            #expect(keeps.who == (try await stage.world.caller(keeper)).displayName)
            let day = try await stage.review(id).startedAt.day.words
            #expect(keeps.detail == "Decided in the access review of \(day).")

            let revoked = try await stage.item(stage.ben, in: id)
            let taker = try #require(revoked.reviewer)
            try await stage.decide("revoke", revoked, by: stage.world.caller(taker))
            #expect(try await post.tell() == [])
            let lost = try await post.entry(.grantRevoked, of: stage.ben.person)
            #expect(lost.title == "You no longer hold Super admin" && lost.detail?.hasPrefix("Decided in ") == true)
            // Told once, and not as a change of roles as well.
            #expect(
                try await post.entries(of: stage.ben.person, all: true).count { $0.notice.kind == .rolesChanged } == 0)
            #expect(try await post.doubles() == [])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what comes to another reviewer is asked of them, and of the one before no more`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { stage, post in
            let id = try await stage.start([
                "reviewers": [.string(stage.ben.person), .string(stage.cyd.person), .string(stage.dot.person)]
            ])
            try await post.tell()
            let cyd = stage.cyd.person
            let had = try await stage.items(id).contains { $0.reviewer == cyd }
            #expect(try await post.kinds(of: cyd).contains("access_review_asked") == had)
            try await stage.world.run(
                "access_review.reassign", on: id, ["reviewer": "cyd@staff.test", "to": "dot@staff.test"],
                by: try await stage.fresh(stage.dot))
            try await post.tell()
            #expect(try await post.kinds(of: cyd).contains("access_review_asked") == false)
            #expect(
                try await post.entries(of: stage.dot.person, all: true).contains {
                    $0.notice.kind == .accessReviewAsked
                })
            // Somebody leaves: what was theirs comes to the others with the same event.
            let before = try await post.entries(of: stage.dot.person, all: true).count
            let moved = try await stage.items(id).count { $0.reviewer == stage.ben.person }
            try await stage.world.run("staff.deactivate", on: stage.ben.person, reason: "left", by: stage.ada)
            try await post.tell()
            #expect(try await post.entries(of: stage.dot.person, all: true).count == before + min(moved, 1))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `reviewers are reminded, what is overdue is told to security too, and the end makes it moot`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { stage, post in
            func turn() async throws {
                _ = try await AccessReviewTurn(pipeline: stage.world.pipeline, clock: stage.world.test.clock.clock)
                    .turn()
            }
            let id = try await stage.start(["due_at": .string((stage.now + .days(10)).rfc3339)])
            let owing = Set(try await stage.items(id).compactMap(\.reviewer))
            stage.world.test.clock.advance(.days(7))
            try await turn()
            try await post.tell()
            for person in owing {
                let kinds = try await post.kinds(of: person)
                #expect(kinds.isSuperset(of: ["access_review_asked", "access_review_reminder"]), "\(person)")
            }
            let reminder = try await post.entry(.accessReviewReminder, of: try #require(owing.first))
            #expect(reminder.title == "An access review is due soon: Security, Super admin" && reminder.who == nil)

            stage.world.test.clock.advance(.days(3))
            try await turn()
            let mails = try await post.tell()
            let heard = owing.union([stage.ada.person, stage.ben.person, stage.cyd.person])
            #expect(mails.count { $0.hasSuffix("An access review is overdue") } == heard.count)
            for person in heard { #expect(try await post.kinds(of: person).contains("access_review_overdue")) }
            let late = try await post.entry(.accessReviewOverdue, of: stage.ada.person)
            #expect(late.detail?.hasPrefix("It was due at ") == true && late.path == "/access-reviews/\(id)")

            for item in try await stage.items(id) where item.state == .open {
                try await stage.decide("keep", item, by: stage.dot)
            }
            try await post.tell()
            for person in owing {
                #expect(try await post.kinds(of: person).contains("access_review_reminder") == false)
            }
            try await stage.world.run("access_review.close", on: id, by: try await stage.fresh(stage.cyd))
            try await post.tell()
            for person in heard { #expect(try await post.kinds(of: person).contains("access_review_overdue") == false) }
            let over = try await post.entry(.accessReviewOverdue, of: stage.ada.person)
            #expect(over.notice.isMoot && over.detail?.hasSuffix("Nothing is left to decide: it is closed.") == true)
            #expect(over.title == "An access review was overdue: Security, Super admin")
            #expect(try await post.doubles() == [])
        }
    }
}
