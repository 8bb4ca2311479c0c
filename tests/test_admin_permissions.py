"""Who may do what in the dashboard: every address, every kind of visitor, every way of asking."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from django_resque.admin.pages import ACTIONS, PAGES
from django_resque.models import Dashboard

ROOT = "/admin/django_resque/dashboard/"
CODENAMES = ["view_dashboard", *(codename for codename, _name in Dashboard._meta.permissions)]
NEEDED = {action.slug: action.permission for action in ACTIONS}
ADDRESSES = [*(page.slug for page in PAGES), *NEEDED]
VISITORS = {
    "anonymous": None,
    "member": (False, CODENAMES),
    "staff": (True, []),
    **{codename: (True, [codename]) for codename in CODENAMES},
    **{f"view and {codename}": (True, ["view_dashboard", codename]) for codename in CODENAMES[1:]},
    "superuser": (True, None),
}

pytestmark = pytest.mark.django_db


def url(slug: str) -> str:
    return f"{ROOT}{slug}/" if slug else ROOT


PAGE_URLS = {url(page.slug) for page in PAGES}


def visitor(kind: str, **options: bool) -> Client:
    client = Client(**options)
    if VISITORS[kind] is not None:
        is_staff, codenames = VISITORS[kind]
        user = User.objects.create_user("someone", is_staff=is_staff, is_superuser=codenames is None)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames or []))
        client.force_login(user)
    return client


def may(kind: str, slug: str) -> bool:
    """Whether this visitor may use this address, as the documentation says it."""
    if VISITORS[kind] is None or not VISITORS[kind][0]:
        return False
    codenames = VISITORS[kind][1]
    wanted = {"view_dashboard", NEEDED.get(slug, "view_dashboard")}
    return codenames is None or wanted <= set(codenames)


@pytest.mark.parametrize("kind", VISITORS)
def test_each_address_is_open_to_those_who_may_and_to_nobody_else(kind: str):
    client = visitor(kind)
    is_let_in = VISITORS[kind] is not None and VISITORS[kind][0]
    for slug in ADDRESSES:
        read, written = client.get(url(slug)), client.post(url(slug), {"confirmed": "yes"})
        for response, is_the_way in ((read, slug not in NEEDED), (written, slug in NEEDED)):
            case = f"{response.request['REQUEST_METHOD']} {slug} as {kind}"
            if not is_let_in:
                assert response.status_code == 302, case
                assert response["Location"].startswith("/admin/login/"), case
            elif slug not in NEEDED and not is_the_way:
                assert response.status_code == 405, case
            elif not may(kind, slug):
                assert response.status_code == 403, case
            elif not is_the_way:  # it leads to the action's page
                assert response.status_code == 302, case
                assert response["Location"].partition("?")[0] in PAGE_URLS, case
            else:
                assert response.status_code in (200, 302), case
                assert "/login/" not in response.get("Location", ""), case


@pytest.mark.parametrize("kind", VISITORS)
def test_nothing_is_done_without_a_token_against_forged_requests(kind: str):
    client = visitor(kind, enforce_csrf_checks=True)
    for slug in ADDRESSES:
        response = client.post(url(slug), {"confirmed": "yes", "one": "mail"})
        assert response.status_code == 403, slug
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options", "trace"])
def test_there_is_no_other_way_to_ask(method: str):
    client = visitor("superuser")
    for slug in ADDRESSES:
        assert getattr(client, method)(url(slug)).status_code == 405, slug


def test_every_permission_opens_something():
    assert set(CODENAMES) - {"view_dashboard", "view_arguments"} == set(NEEDED.values())


@pytest.mark.parametrize("kind", ["staff", "view_dashboard", "superuser"])
def test_the_pages_have_buttons_for_those_alone_who_may_press_them(kind: str, clean_redis):
    clean_redis.sadd("resque:queues", "mail")
    client = visitor(kind)
    content = client.get(url("queues")).content.decode()
    assert ("formaction=" in content) == (kind == "superuser")
