"""The dashboard: where it is in the admin, who may see it, and how its pages and actions are answered."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_http_methods, require_safe

from ..errors import ResqueError
from .action import Action, Done, NothingToDo, Plan
from .page import Page
from .pages import ACTIONS, PAGES
from .text import line, reason, units
from .visit import Visit, url_name

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin

FRAGMENT = "X-Resque-Fragment"
"""The header by which the page's script asks for its changing part alone. In the answer it says after how many seconds
the script is to look again; 0: not any more."""
LONGEST_NOTE = 200
"""Characters that the log has room for."""
_NOT_OF_THE_FORM = ("csrfmiddlewaretoken", "confirmed", "again")


class DashboardAdmin(ModelAdmin):
    """Pages in place of the lists and forms that a model with rows would have."""

    def get_urls(self) -> list[URLPattern]:
        return [
            *(self._path(page.slug, require_safe(self._page_view(page))) for page in PAGES),
            *(
                self._path(action.slug, require_http_methods(["GET", "HEAD", "POST"])(self._action_view(action)))
                for action in ACTIONS
            ),
        ]

    def _path(self, slug: str, view: Any) -> URLPattern:
        route = f"{slug}/" if slug else ""
        found: URLPattern = path(route, self.admin_site.admin_view(view), name=f"django_resque_{url_name(slug)}")
        return found

    # -- pages ---------------------------------------------------------------------------------------------------------

    def _page_view(self, page: Page) -> Any:
        def view(request: HttpRequest) -> HttpResponse:
            """When Redis is not available the page says why, with status 200: in place of a 5xx many proxies show a
            page of their own, and Django mails the site's admins."""
            visit = self._visit(request, "view_dashboard")
            try:
                found = {"namespace": visit.store.config.namespace, **page.context(visit)}
            except ResqueError as error:
                found = {"unavailable": reason(error)}
            if FRAGMENT in request.headers:
                return self._fragment(visit, page, found)
            return self._render(visit, page, "admin/django_resque/layout.html", found)

        return view

    def _fragment(self, visit: Visit, page: Page, found: dict[str, Any]) -> HttpResponse:
        """What changes by itself alone; 304 when it is what the browser has already."""
        response = self._render(visit, page, "admin/django_resque/fragment.html", found).render()
        # how long something is ago is kept up to date in the browser, and the clock ticks there too
        lasting = re.sub(rb"<time data-now[^>]*>[^<]*|(<time[^>]*>)[^<]*", rb"\1", response.content)
        response["ETag"] = f'"{hashlib.sha1(lasting, usedforsecurity=False).hexdigest()}"'
        answer = get_conditional_response(visit.request, etag=response["ETag"], response=response) or response
        answer[FRAGMENT] = str(found.get("every", page.every))
        return answer

    def _render(self, visit: Visit, page: Page, layout: str, found: dict[str, Any]) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(visit.request),
            "title": page.title,
            "every": page.every,
            "opts": self.opts,
            "layout": layout,
            "menu": [
                {"title": each.title, "url": visit.url(each.slug), "current": each.slug == (page.section or page.slug)}
                for each in PAGES
                if not each.section
            ],
            "units": " ".join(units()),
            "here": visit.request.get_full_path(),
            **found,
        }
        visit.request.current_app = self.admin_site.name
        return TemplateResponse(visit.request, f"admin/django_resque/{page.template}", context)

    # -- actions -------------------------------------------------------------------------------------------------------

    def _action_view(self, action: Action) -> Any:
        def view(request: HttpRequest) -> HttpResponse:
            visit = self._visit(request, action.permission)
            if request.method != "POST":  # after a login, or a question that was loaded again: nothing is done
                return HttpResponseRedirect(visit.url(action.page, request.GET))
            back = visit.back or visit.url(action.page)
            try:
                plan = action.plan(visit)
            except NothingToDo as nothing:
                messages.warning(request, str(nothing))
                return HttpResponseRedirect(back)
            except ResqueError as error:
                messages.error(request, reason(error))
                return HttpResponseRedirect(back)
            if "confirmed" not in request.POST or plan.draft or (plan.form is not None and not plan.form.is_valid()):
                return self._confirmation(visit, action, plan, back)
            done = self._carried_out(visit, action, plan)
            return HttpResponseRedirect(done.go_to or back)

        return view

    def _confirmation(self, visit: Visit, action: Action, plan: Plan, back: str) -> HttpResponse:
        request = visit.request
        asked = set(plan.form.fields) if plan.form is not None else set()
        context = {
            **self.admin_site.each_context(request),
            "title": action.label,
            "opts": self.opts,
            "plan": plan,
            "action": action,
            "here": request.get_full_path(),
            "back": back,
            "all_matching": visit.all_matching,
            "given": [
                (name, value)
                for name, values in request.POST.lists()
                if name not in _NOT_OF_THE_FORM and name not in asked
                for value in values
            ],
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/django_resque/confirm.html", context)

    def _carried_out(self, visit: Visit, action: Action, plan: Plan) -> Done:
        """Do it, tell the visitor, and note it in the log, also when it went wrong on the way."""
        try:
            done = action.carry_out(visit, plan)
        except ResqueError as error:
            # what an error says may quote arguments: not everybody who reads the log may see them
            told = visit.redactor.text(reason(error))
            done = Done(told, f"{action.label}: {type(error).__name__}", messages.ERROR)
        messages.add_message(visit.request, done.level, done.message)
        LogEntry.objects.create(
            user_id=cast("int", visit.request.user.pk),
            content_type=ContentType.objects.get_for_model(self.model, for_concrete_model=False),
            object_repr=line(str(done.note or done.message))[:LONGEST_NOTE],
            action_flag=CHANGE,
            change_message=f"{action.slug}: {line(plan.question, 1000)}",
        )
        return done

    # -- who may do what -----------------------------------------------------------------------------------------------

    def _visit(self, request: HttpRequest, permission: str) -> Visit:
        visit = Visit(request, self.admin_site)
        if not visit.may(permission):
            raise PermissionDenied
        return visit

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("django_resque.view_dashboard")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False
