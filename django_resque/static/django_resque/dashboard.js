/* What the dashboard's pages can do beyond their links and forms. Each of them works without this script.

   Live: while the switch is on, the part of the page that changes is fetched again and again, not in a tab that nobody
   sees. The server answers 304 when nothing has changed. */
"use strict";

(() => {
    const FRAGMENT = "X-Resque-Fragment";
    const REMEMBERED = "django_resque.live";
    const live = document.getElementById("resque-live");
    const button = document.getElementById("resque-switch");
    const lost = document.getElementById("resque-lost");
    let etag = "";
    let timer = 0;
    let asking = false;

    // -- how long ago: as `duration` in text.py writes it --------------------------------------------------------------

    const units = (document.querySelector(".resque")?.dataset.units || "d h min s").split(" ");
    const sizes = [86400, 3600, 60, 1];

    const duration = seconds => {
        let rest = Math.max(0, Math.floor(seconds));
        const parts = [];
        sizes.forEach((size, at) => {
            const count = Math.floor(rest / size);
            rest -= count * size;
            if (count || (size === 1 && !parts.length)) {
                parts.push(`${count} ${units[at]}`);
            }
        });
        return parts.slice(0, 2).join(" ");
    };

    // The server's clock is what counts: how far this one differs is known from what the page says at first.
    let ahead = 0;

    const readClock = () => {
        const first = live?.querySelector("time[data-now]");
        if (first) {
            ahead = Date.now() - Date.parse(first.dateTime);
        }
    };

    const tick = () => {
        for (const time of document.querySelectorAll(".resque time[data-elapsed]")) {
            const seconds = Math.abs(Date.now() - ahead - Date.parse(time.dateTime)) / 1000;
            const text = duration(seconds);
            if (Number.isFinite(seconds) && time.textContent !== text) {
                time.textContent = text;
            }
        }
    };

    // -- live ----------------------------------------------------------------------------------------------------------

    const isOn = () => button !== null && button.getAttribute("aria-checked") === "true";

    // What is said of a page that cannot be looked at.
    const tell = what => {
        const text = lost.dataset[what] || "";
        if (lost.textContent !== text) {
            lost.textContent = text;
        }
    };

    const plan = () => {
        clearTimeout(timer);
        const seconds = Number(live.dataset.every); // 0: there is nothing more to see
        if (isOn() && !document.hidden && seconds) {
            timer = setTimeout(look, seconds * 1000);
        }
    };

    const look = async () => {
        if (asking) {
            return;
        }
        asking = true;
        live.setAttribute("aria-busy", "true");
        try {
            const headers = {[FRAGMENT]: "yes"};
            if (etag) {
                headers["If-None-Match"] = etag;
            }
            const response = await fetch(location.href, {headers, cache: "no-store", credentials: "same-origin"});
            if (!response.headers.has(FRAGMENT)) {
                const isClosed = response.redirected || [401, 403, 404].includes(response.status);
                if (isClosed) {
                    turn(false); // logged out, no longer allowed, or the page is gone
                }
                tell(isClosed ? "closed" : "away");
                return;
            }
            tell("");
            if (!isOn()) {
                return; // turned off meanwhile
            }
            live.dataset.every = response.headers.get(FRAGMENT);
            if (response.status === 200) {
                etag = response.headers.get("ETag") || "";
                show(await response.text());
            }
        } catch {
            tell("away"); // the next look will tell whether it is still so
        } finally {
            asking = false;
            plan();
            live.setAttribute("aria-busy", "false");
        }
    };

    const keyOf = element =>
        element.dataset.key ||
        element.id ||
        [element.tagName, ...["name", "value", "formaction", "href"].map(name => element.getAttribute(name))].join(" ");

    // Puts the new part in place of the old one. What the visitor has ticked, opened, scrolled or focused stays so.
    const show = html => {
        const fresh = new DOMParser().parseFromString(`<body>${html}</body>`, "text/html").body;
        const ticked = new Set([...live.querySelectorAll("input[type=checkbox]:checked")].map(keyOf));
        const open = new Map([...live.querySelectorAll("details[data-key]")].map(each => [keyOf(each), each.open]));
        const scrolled = new Map([...live.querySelectorAll("pre[data-key]")].map(each => [
            keyOf(each),
            each.scrollTop + each.clientHeight >= each.scrollHeight - 4 ? Infinity : each.scrollTop,
        ]));
        const focusable = "a, button, input, summary, pre, [tabindex]";
        const alike = element => [...live.querySelectorAll(focusable)].filter(each => keyOf(each) === keyOf(element));
        const focused = live.contains(document.activeElement) ? document.activeElement : null;
        const place = focused ? alike(focused).indexOf(focused) : -1;
        live.replaceChildren(...fresh.childNodes);
        for (const box of live.querySelectorAll("input[type=checkbox]")) {
            box.checked = ticked.has(keyOf(box));
        }
        for (const each of live.querySelectorAll("details[data-key]")) {
            each.open = open.get(keyOf(each)) ?? each.open;
        }
        for (const each of live.querySelectorAll("pre[data-key]")) {
            each.scrollTop = scrolled.get(keyOf(each)) ?? Infinity;
        }
        if (focused) {
            alike(focused)[place]?.focus({preventScroll: true});
        }
        readClock();
        tick();
    };

    const remember = on => {
        try {
            localStorage.setItem(REMEMBERED, on ? "on" : "off");
        } catch {
            // a browser that keeps nothing
        }
    };

    const remembered = () => {
        try {
            return localStorage.getItem(REMEMBERED) === "on";
        } catch {
            return false;
        }
    };

    const turn = on => {
        button.setAttribute("aria-checked", String(on));
        plan();
    };

    if (live && button) {
        button.hidden = false;
        turn(remembered());
        button.addEventListener("click", () => {
            turn(!isOn());
            remember(isOn());
            if (isOn()) {
                look();
            }
        });
        document.addEventListener("visibilitychange", () => {
            if (isOn() && !document.hidden) {
                look();
            } else {
                plan();
            }
        });
    }

    if (live) {
        readClock();
        setInterval(tick, 1000);
        for (const output of live.querySelectorAll("pre[data-key=output]")) {
            output.scrollTop = output.scrollHeight; // where it goes on
        }
    }

    // -- conveniences --------------------------------------------------------------------------------------------------

    document.addEventListener("change", event => {
        if (event.target.matches("[data-tick-all]")) {
            for (const box of event.target.closest("table").querySelectorAll("input[name=tick]")) {
                box.checked = event.target.checked;
            }
        }
    });

    const unhideCopyButtons = () => {
        if (navigator.clipboard) {
            for (const each of document.querySelectorAll("[data-copy]")) {
                each.hidden = false;
            }
        }
    };
    unhideCopyButtons();
    if (live) {
        new MutationObserver(unhideCopyButtons).observe(live, {childList: true});
    }

    document.addEventListener("click", async event => {
        const copy = event.target.closest("[data-copy]");
        if (copy) {
            try {
                await navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent);
                copy.dataset.done = "";
                setTimeout(() => delete copy.dataset.done, 1500);
            } catch {
                copy.hidden = true; // the browser does not allow it
            }
        }
    });
})();
